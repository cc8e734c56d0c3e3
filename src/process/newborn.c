#include "process/newborn.h"

#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers want to know of signals, and see only what goes through the C library. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__)) && defined(__LP64__) &&             \
    !defined(SANITIZED)

/* The kernel's struct sigaction: the handler first, and zeros mean no flags and an empty mask. */
struct kernel_action {
	void (*handler)(int);
	unsigned long rest[3];
};

/* The kernel's signal sets have 64 bits; the C library's begin with the same. */
#define KERNEL_SET_SIZE 8

void
newborn_signal(int signo, void (*handler)(int))
{
	struct kernel_action action = { .handler = handler };

	syscall(SYS_rt_sigaction, signo, &action, NULL, KERNEL_SET_SIZE);
}

void
newborn_mask(const sigset_t *mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, NULL, KERNEL_SET_SIZE);
}

#else

void
newborn_signal(int signo, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(signo, &action, NULL);
}

void
newborn_mask(const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
}

#endif

/*
 * The switch for x86-64, System V ABI: what a function must preserve goes onto the stack it leaves,
 * and the stack pointer is the whole of a saved context. Frame, from the saved pointer up: mxcsr and
 * x87 control word, r15, r14, r13, r12, rbx, rbp, return address.
 *
 * Both stacks have the same frame, so the unwind information is right on either side of the switch.
 *
 * It leaves by a jump: a `ret` would always be predicted to go back to the caller. `notrack`,
 * because what follows a call carries no endbr64. The object is marked for IBT and not for shadow
 * stacks, which it does not switch.
 */
	.section .text.hot, "ax", @progbits

	.macro save_registers
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	.endm

	.macro restore register
	popq	\register
	.cfi_adjust_cfa_offset -8
	.cfi_restore \register
	.endm

/* bool fiber_switch(void **save, void *to, bool word) */
	.globl	fiber_switch
	.hidden	fiber_switch
	.type	fiber_switch, @function
	.p2align 4
fiber_switch:
	.cfi_startproc
	endbr64
	save_registers
	/* Loading the control words is slow, and they hardly ever differ. */
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	cmpl	(%rsp), %eax
	jne	2f
1:	cmpw	4(%rsp), %cx
	jne	3f
4:	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	.cfi_remember_state
	restore	%r15
	restore	%r14
	restore	%r13
	restore	%r12
	restore	%rbx
	restore	%rbp
	movl	%edx, %eax
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	notrack jmp *%rcx
	.cfi_restore_state
	.cfi_adjust_cfa_offset 8
2:	ldmxcsr	(%rsp)
	jmp	1b
3:	fldcw	4(%rsp)
	jmp	4b
	.cfi_endproc
	.size	fiber_switch, . - fiber_switch

/* bool fiber_switch_new(void **save, void *stack, size_t size, void (*entry)(void *), void *arg) */
	.globl	fiber_switch_new
	.hidden	fiber_switch_new
	.type	fiber_switch_new, @function
	.p2align 4
fiber_switch_new:
	.cfi_startproc
	endbr64
	save_registers
	movq	%rsp, (%rdi)
	leaq	(%rsi, %rdx), %rsp
	/* Nobody called what follows: debuggers and unwinders stop here. */
	.cfi_def_cfa %rsp, 0
	.cfi_undefined %rip
	.cfi_undefined %rbp
	xorl	%ebp, %ebp
	movq	%r8, %rdi
	call	*%rcx
	ud2
	.cfi_endproc
	.size	fiber_switch_new, . - fiber_switch_new

	.section .note.GNU-stack, "", @progbits

	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5	/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000002, 4	/* GNU_PROPERTY_X86_FEATURE_1_AND, size */
	.long	1, 0		/* IBT; padding */

/*
 * The switch for aarch64 (AAPCS64): what a function must preserve goes onto the stack it leaves, and
 * the stack pointer is the whole of a saved context. Frame, from the saved pointer up: x29, x30, x19
 * to x28, d8 to d15, fpcr.
 *
 * Both stacks have the same frame, so the unwind information is right on either side of the switch.
 *
 * The return address is signed while it lies on the stack; `paciasp` is a landing pad as well. It
 * leaves by `ret`, as any other branch would need a landing pad behind the call. The object is
 * marked for BTI and PAC and not for guarded control stacks, which it does not switch.
 */
	.section .text.hot, "ax", %progbits

	.macro save_registers
	hint	#25		/* paciasp */
	.cfi_negate_ra_state
	stp	x29, x30, [sp, #-176]!
	.cfi_def_cfa_offset 176
	.cfi_offset x29, -176
	.cfi_offset x30, -168
	stp	x19, x20, [sp, #16]
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	stp	x21, x22, [sp, #32]
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	stp	x23, x24, [sp, #48]
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	stp	x25, x26, [sp, #64]
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	stp	x27, x28, [sp, #80]
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	stp	d8, d9, [sp, #96]
	.cfi_offset d8, -80
	.cfi_offset d9, -72
	stp	d10, d11, [sp, #112]
	.cfi_offset d10, -64
	.cfi_offset d11, -56
	stp	d12, d13, [sp, #128]
	.cfi_offset d12, -48
	.cfi_offset d13, -40
	stp	d14, d15, [sp, #144]
	.cfi_offset d14, -32
	.cfi_offset d15, -24
	mrs	x10, fpcr
	str	x10, [sp, #160]
	mov	x9, sp
	str	x9, [x0]
	.endm

/* bool fiber_switch(void **save, void *to, bool word) */
	.globl	fiber_switch
	.hidden	fiber_switch
	.type	fiber_switch, %function
	.p2align 4
fiber_switch:
	.cfi_startproc
	save_registers
	mov	sp, x1
	/* Loading the control word is slow, and it hardly ever differs. */
	ldr	x11, [sp, #160]
	cmp	x10, x11
	b.eq	1f
	msr	fpcr, x11
1:	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x27, x28, [sp, #80]
	ldp	x25, x26, [sp, #64]
	ldp	x23, x24, [sp, #48]
	ldp	x21, x22, [sp, #32]
	ldp	x19, x20, [sp, #16]
	mov	w0, w2
	ldp	x29, x30, [sp], #176
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	hint	#29		/* autiasp */
	.cfi_negate_ra_state
	ret
	.cfi_endproc
	.size	fiber_switch, . - fiber_switch

/* bool fiber_switch_new(void **save, void *stack, size_t size, void (*entry)(void *), void *arg) */
	.globl	fiber_switch_new
	.hidden	fiber_switch_new
	.type	fiber_switch_new, %function
	.p2align 4
fiber_switch_new:
	.cfi_startproc
	save_registers
	add	x9, x1, x2
	mov	sp, x9
	/* Nobody called what follows: debuggers and unwinders stop here. */
	.cfi_def_cfa sp, 0
	.cfi_negate_ra_state
	.cfi_undefined x30
	.cfi_undefined x29
	mov	x29, xzr
	mov	x0, x4
	blr	x3
	brk	#1
	.cfi_endproc
	.size	fiber_switch_new, . - fiber_switch_new

	.section .note.GNU-stack, "", %progbits

	.section .note.gnu.property, "a", %note
	.p2align 3
	.long	4, 16, 5	/* sizes of name and contents; NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000000, 4	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND, size */
	.long	3, 0		/* BTI and PAC; padding */

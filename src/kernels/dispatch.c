/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  Which kernels this CPU and operating system can run.
 *
 *-------------------------------------------------------------------------
 */
#include "kernels/kernels_isa.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define MAX_USABLE	4

/* the scalar table until vec_kernels_init(), so a call is never wild */
const VecKernels *vec_kernels = &vec_kernels_scalar;

/* best first; the scalar table is always the last */
static const VecKernels *usable[MAX_USABLE];
static int	nusable = 0;

#ifdef __x86_64__
/* the AVX-512 table, with the kernels of its extensions that the CPU has */
static VecKernels avx512_best;

/* clang 14 cannot ask for F16C by name; its state is AVX's, asked elsewhere */
static bool
cpu_has_f16c(void)
{
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

/*
 * __builtin_cpu_supports() also asks whether the operating system saves the
 * wide registers; CPUID alone would not be enough.
 */
static void
find_usable_x86(void)
{
	__builtin_cpu_init();

	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
	{
		avx512_best = vec_kernels_avx512;
		if (__builtin_cpu_supports("avx512vpopcntdq"))
			vec_kernels_use_vpopcntdq(&avx512_best);
		if (__builtin_cpu_supports("avx512vnni"))
			vec_kernels_use_vnni(&avx512_best);
		usable[nusable++] = &avx512_best;
	}

	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		__builtin_cpu_supports("popcnt") && cpu_has_f16c())
		usable[nusable++] = &vec_kernels_avx2;
}
#endif

/*
 * vec_kernels_init
 *		Find the usable tables and take the best; call once, before threads.
 *
 * Repeating it is harmless and takes the best table again.
 */
void
vec_kernels_init(void)
{
	nusable = 0;
#ifdef __x86_64__
	find_usable_x86();
#endif
#ifdef __aarch64__
	usable[nusable++] = &vec_kernels_neon;
#endif
	usable[nusable++] = &vec_kernels_scalar;

	vec_kernels = usable[0];
}

/*
 * vec_kernels_find
 *		The usable table of this name, or NULL; call after vec_kernels_init().
 */
const VecKernels *
vec_kernels_find(const char *name)
{
	for (int i = 0; i < nusable; i++)
	{
		if (strcmp(usable[i]->name, name) == 0)
			return usable[i];
	}
	return NULL;
}

/*
 * vec_kernels_usable
 *		The i-th usable table counted from 0, best first; NULL past the end.
 */
const VecKernels *
vec_kernels_usable(int i)
{
	return i >= 0 && i < nusable ? usable[i] : NULL;
}

/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Settings of the whole extension: which kernels run.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "kernels/kernels.h"
#include "settings.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define SIMD_AUTO 0

/* every instruction set there are kernels for, on any machine */
static const struct config_enum_entry simd_options[] = {
	{"auto", SIMD_AUTO, false},
	{"scalar", 1, false},
	{"neon", 2, false},
	{"avx2", 3, false},
	{"avx512", 4, false},
	{NULL, 0, false}
};

static int	vecext_simd = SIMD_AUTO;

/* the kernels a value selects, or NULL if this machine cannot run them */
static const VecKernels *
kernels_of(int simd)
{
	return simd == SIMD_AUTO ? vec_kernels_usable(0) : vec_kernels_find(simd_options[simd].name);
}

static bool
check_simd(int *newval, void **extra, GucSource source)
{
	if (kernels_of(*newval) != NULL)
		return true;

	GUC_check_errdetail("This machine cannot run \"%s\" kernels.", simd_options[*newval].name);
	GUC_check_errhint("\"auto\" takes the fastest it can.");
	return false;
}

static void
assign_simd(int newval, void *extra)
{
	vec_kernels = kernels_of(newval);
}

/*
 * vec_settings_init
 *		Define the settings; the kernels can be used afterwards.
 */
void
vec_settings_init(void)
{
	vec_kernels_init();

	DefineCustomEnumVariable("vecext.simd",
							 "Selects the instruction set of the distance kernels.",
							 "Meant for tests and bug reports; \"auto\" is right otherwise.",
							 &vecext_simd,
							 SIMD_AUTO,
							 simd_options,
							 PGC_USERSET, GUC_NOT_IN_SAMPLE,
							 check_simd, assign_simd, NULL);
}

/* vecext_simd(): the instruction set in use */
VEC_SQL_FUNCTION(vecext_simd_name)
{
	PG_RETURN_TEXT_P(cstring_to_text(vec_kernels->name));
}

/*-------------------------------------------------------------------------
 *
 * subscript.c
 *	  Read access to elements: v[i] is a real, v[i:j] a vector.
 *
 * As with arrays, subscripts count from 1, an element outside is NULL, a
 * slice is clipped, and an omitted bound is the vector's own.  A slice of
 * nothing is NULL, since there is no vector without elements.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "executor/execExpr.h"
#include "nodes/nodeFuncs.h"
#include "nodes/subscripting.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "types/dense.h"

/* one subscript as an integer expression; an omitted bound stays NULL */
static Node *
transform_subscript(ParseState *pstate, Node *raw)
{
	Node	   *subscript;
	Node	   *integer;

	if (raw == NULL)
		return NULL;

	subscript = transformExpr(pstate, raw, pstate->p_expr_kind);
	integer = coerce_to_target_type(pstate, subscript, exprType(subscript), INT4OID, -1,
									COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (integer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("vector subscript must have type integer"),
				 parser_errposition(pstate, exprLocation(subscript))));
	return integer;
}

/* parse analysis; the same for both types */
static void
dense_subscript_transform(SubscriptingRef *sbsref, List *indirection, ParseState *pstate,
						  bool isSlice, bool isAssignment)
{
	A_Indices  *indices = linitial_node(A_Indices, indirection);
	Node	   *lower = indices->lidx;

	if (isAssignment)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("elements of a vector cannot be assigned")));
	if (list_length(indirection) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a vector has only one subscript")));

	sbsref->refupperindexpr = list_make1(transform_subscript(pstate, indices->uidx));
	if (isSlice)
		sbsref->reflowerindexpr = list_make1(transform_subscript(pstate, lower));

	sbsref->refrestype = isSlice ? sbsref->refcontainertype : FLOAT4OID;
	sbsref->reftypmod = -1;
}

/* a NULL subscript makes the result NULL */
static bool
dense_subscript_check(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	SubscriptingRefState *sbs = op->d.sbsref_subscript.state;

	if ((sbs->upperprovided[0] && sbs->upperindexnull[0]) ||
		(sbs->numlower > 0 && sbs->lowerprovided[0] && sbs->lowerindexnull[0]))
	{
		*op->resnull = true;	/* else the vector itself would be the result */
		return false;
	}
	return true;
}

/* fetch an element or a slice of *op->resvalue into it */
static void
dense_subscript_fetch(ExprEvalStep *op, const DenseType *type)
{
	SubscriptingRefState *sbs = op->d.sbsref.state;
	DenseVector *v = dense_get(*op->resvalue, type);
	int			upper = sbs->upperprovided[0] ? DatumGetInt32(sbs->upperindex[0]) : v->dim;
	int			lower = upper;
	DenseVector *slice;

	if (sbs->numlower > 0)
		lower = sbs->lowerprovided[0] ? DatumGetInt32(sbs->lowerindex[0]) : 1;
	else if (upper < 1)
		lower = upper + 1;		/* an element outside, not a slice to clip */

	slice = dense_slice(v, lower, upper, type);
	if (slice == NULL)
	{
		*op->resnull = true;
		*op->resvalue = (Datum) 0;
	}
	else if (sbs->numlower > 0)
		*op->resvalue = PointerGetDatum(slice);
	else
		*op->resvalue = Float4GetDatum(type->widen(slice)[0]);
}

static void
vector_subscript_fetch(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	dense_subscript_fetch(op, &dense_vector);
}

static void
halfvec_subscript_fetch(ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	dense_subscript_fetch(op, &dense_halfvec);
}

static void
vector_subscript_setup(const SubscriptingRef *sbsref, SubscriptingRefState *sbsrefstate,
					   SubscriptExecSteps *methods)
{
	methods->sbs_check_subscripts = dense_subscript_check;
	methods->sbs_fetch = vector_subscript_fetch;
}

static void
halfvec_subscript_setup(const SubscriptingRef *sbsref, SubscriptingRefState *sbsrefstate,
						SubscriptExecSteps *methods)
{
	methods->sbs_check_subscripts = dense_subscript_check;
	methods->sbs_fetch = halfvec_subscript_fetch;
}

/* subscripting handler of type vector */
VEC_SQL_FUNCTION(vecext_vector_subscript)
{
	static const SubscriptRoutines routines = {
		.transform = dense_subscript_transform,
		.exec_setup = vector_subscript_setup,
		.fetch_strict = true,
	};

	PG_RETURN_POINTER(&routines);
}

/* subscripting handler of type halfvec */
VEC_SQL_FUNCTION(vecext_halfvec_subscript)
{
	static const SubscriptRoutines routines = {
		.transform = dense_subscript_transform,
		.exec_setup = halfvec_subscript_setup,
		.fetch_strict = true,
	};

	PG_RETURN_POINTER(&routines);
}

/*-------------------------------------------------------------------------
 *
 * am_validate.c
 *	  Whether an operator class is one our access methods can work with: one of
 *	  vectors, which orders by a distance, or one of filter columns.
 *
 *-------------------------------------------------------------------------
 */
#include "am/am_index.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "filter/filter.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

/* the operator class looked at, and whether anything was wrong */
typedef struct Validation
{
	const char *am;
	const char *name;
	Oid			type;
	bool		operator_found;
	bool		metric_found;
	bool		ok;
} Validation;

static void
complain(Validation *v, const char *what, const char *object)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s operator class %s: %s: %s", v->am, v->name, what, object)));
	v->ok = false;
}

/* unqualified, as it stands in the catalog */
static char *
type_name(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
	ReleaseSysCache(tuple);
	return name;
}

/* support function 1 must lead to a metric of the class's type */
static void
check_metric(Validation *v, Oid function)
{
	const VecMetric *metric;

	if (!check_amproc_signature(function, INTERNALOID, true, 1, 1, INTERNALOID))
	{
		complain(v, "support function has a wrong signature", format_procedure(function));
		return;
	}
	v->metric_found = true;
	metric = (const VecMetric *)
		DatumGetPointer(OidFunctionCall1(function, PointerGetDatum(NULL)));
	if (strcmp(metric->type->name, type_name(v->type)) != 0)
		complain(v, "support function is for another type", metric->type->name);
}

static void
check_procs(Validation *v, CatCList *list)
{
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(&list->members[i]->tuple);

		if (form->amproclefttype != v->type || form->amprocrighttype != v->type)
			complain(v, "support function for other types", format_procedure(form->amproc));
		else if (form->amprocnum != VEC_METRIC_PROC)
			complain(v, "support function of no known number", format_procedure(form->amproc));
		else
			check_metric(v, form->amproc);
	}
}

static void
check_operators(Validation *v, CatCList *list)
{
	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop form = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);
		const char *name = format_operator(form->amopopr);

		if (form->amopstrategy != 1)
			complain(v, "operator of no known strategy", name);
		else if (form->amoppurpose != AMOP_ORDER)
			complain(v, "operator not for ordering", name);
		else if (!opfamily_can_sort_type(form->amopsortfamily, FLOAT8OID))
			complain(v, "sort family does not order distances", name);
		else if (!check_amop_signature(form->amopopr, FLOAT8OID, v->type, v->type))
			complain(v, "operator has a wrong signature", name);
		else
			v->operator_found = true;
	}
}

/* all of a class of vectors */
static void
check_vector(Validation *v, CatCList *operators, CatCList *procs)
{
	check_procs(v, procs);
	check_operators(v, operators);
	if (!v->metric_found)
		complain(v, "missing", "support function 1");
	if (!v->operator_found)
		complain(v, "missing", "operator 1");
}

/*--- filters -------------------------------------------------------------*/

/*
 * The strategy number that a filter class should have for an operator: what it
 * means is known from the family of the server's own index, btree for types with
 * an order and GIN for arrays.  0 if it is in none.
 */
static int
filter_strategy(Oid type, Oid operator)
{
	static const int of_btree[] = {0, FILTER_LESS, FILTER_LESS_EQUAL, FILTER_EQUAL,
	FILTER_GREATER_EQUAL, FILTER_GREATER};
	static const int of_gin[] = {0, FILTER_OVERLAP, FILTER_CONTAINS, 0, FILTER_EQUAL};
	bool		array = (filter_strategies(type) & 1 << FILTER_OVERLAP) != 0;
	Oid			class = GetDefaultOpClass(type, array ? GIN_AM_OID : BTREE_AM_OID);
	int			strategy = OidIsValid(class) ?
		get_op_opfamily_strategy(operator, get_opclass_family(class)) : 0;

	if (array)
		return strategy < (int) lengthof(of_gin) ? of_gin[strategy] : 0;
	return strategy < (int) lengthof(of_btree) ? of_btree[strategy] : 0;
}

/* one operator of a filter class; adds to the strategies found */
static void
check_filter_operator(Validation *v, Form_pg_amop form, uint32 *found)
{
	const char *name = format_operator(form->amopopr);
	bool		own = form->amoplefttype == form->amoprighttype;

	if (form->amoppurpose != AMOP_SEARCH)
		complain(v, "operator not for search", name);
	else if (form->amopstrategy < 1 || form->amopstrategy > FILTER_NSTRATEGIES ||
			 (filter_strategies(v->type) & 1 << form->amopstrategy) == 0)
		complain(v, "operator of no known strategy", name);
	else if (!check_amop_signature(form->amopopr, BOOLOID, form->amoplefttype,
								   form->amoprighttype) ||
			 !(form->amoplefttype == v->type ||
			   (own && form->amoplefttype == ANYARRAYOID)))
		complain(v, "operator has a wrong signature", name);
	else if (filter_strategy(v->type, form->amopopr) != form->amopstrategy)
		complain(v, "operator does not mean what its strategy says", name);
	else if (own)
		*found |= 1 << form->amopstrategy;
}

/* all of a filter class: operators of each strategy, and no support function */
static void
check_filter(Validation *v, CatCList *operators, CatCList *procs)
{
	uint32		found = 0;

	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		complain(v, "a filter has no support functions", format_procedure(form->amproc));
	}
	for (int i = 0; i < operators->n_members; i++)
		check_filter_operator(v, (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple), &found);
	for (int strategy = 1; strategy <= FILTER_NSTRATEGIES; strategy++)
	{
		if ((filter_strategies(v->type) & ~found & 1 << strategy) != 0)
			complain(v, "missing", psprintf("operator %d", strategy));
	}
}

/*
 * am_validate
 *		Check an operator class.  Of vectors: one ordering operator that returns a
 *		double, one support function, whose metric is of the class's type.  Of
 *		filters: for each strategy of the type an operator that means it.
 *
 * Tells by INFO what is wrong.
 */
bool
am_validate(Oid opclass, const char *am)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass form;
	CatCList   *procs;
	CatCList   *operators;
	Validation	v = {.am = am, .ok = true};

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	v.name = NameStr(form->opcname);
	v.type = form->opcintype;
	if (OidIsValid(form->opckeytype))
		complain(&v, "storage type given", format_type_be(form->opckeytype));

	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(form->opcfamily));
	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(form->opcfamily));
	if (filter_strategies(v.type) != 0)
		check_filter(&v, operators, procs);
	else
		check_vector(&v, operators, procs);
	ReleaseCatCacheList(operators);
	ReleaseCatCacheList(procs);
	ReleaseSysCache(tuple);
	return v.ok;
}

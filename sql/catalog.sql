-- Every object of the extension: the surface at a glance, and each change of it in a diff.
\pset format unaligned
\pset tuples_only on
\pset null -

CREATE TEMP VIEW member AS
SELECT classid, objid, objsubid, pg_describe_object(classid, objid, objsubid) COLLATE "C" AS name
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecext')
	-- array types are members from some version on
	AND NOT EXISTS (SELECT FROM pg_type WHERE classid = 'pg_type'::regclass AND oid = objid AND typcategory = 'A');

-- types: length, by value, category, preferred, delimiter, element, alignment, storage, collation
SELECT typname, typlen, typbyval, typcategory, typispreferred, typdelim, typelem, typalign, typstorage, typcollation,
	typarray::regtype, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript
FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = oid ORDER BY name;

-- functions: result, volatility, strict, parallel, cost, support function
SELECT oid::regprocedure, prorettype::regtype, provolatile, proisstrict, proparallel, procost, prosupport
FROM pg_proc JOIN member ON classid = 'pg_proc'::regclass AND objid = oid WHERE prokind = 'f' ORDER BY name;
SELECT oid::regprocedure AS free FROM pg_proc JOIN member ON classid = 'pg_proc'::regclass AND objid = oid WHERE procost <= 0;

-- aggregates: transition, final and combine function, state, initial value, parallel
SELECT oid::regprocedure, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn,
	aggtranstype::regtype, agginitval, proparallel
FROM pg_proc JOIN pg_aggregate ON aggfnoid = oid JOIN member ON classid = 'pg_proc'::regclass AND objid = oid ORDER BY name;

-- operators: result, function, commutator, negator, hash, merge, selectivity, join selectivity
SELECT o.oid::regoperator, oprresult::regtype, oprcode::oid::regprocedure, nullif(oprcom, 0)::regoperator, nullif(oprnegate, 0)::regoperator,
	oprcanhash, oprcanmerge, oprrest, oprjoin
FROM pg_operator o JOIN member ON classid = 'pg_operator'::regclass AND objid = oid ORDER BY name;

-- casts: function, context, method
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod
FROM pg_cast JOIN member ON classid = 'pg_cast'::regclass AND objid = oid ORDER BY name;

-- operator classes: type, default, storage type
SELECT amname, opcname, (SELECT opfname FROM pg_opfamily f WHERE f.oid = opcfamily) AS family, opcintype::regtype, opcdefault, nullif(opckeytype, 0)::regtype
FROM pg_opclass JOIN pg_am am ON am.oid = opcmethod JOIN member ON classid = 'pg_opclass'::regclass AND objid = pg_opclass.oid
ORDER BY name;
SELECT amname, f.opfname, amopstrategy, amopopr::regoperator, amoppurpose, s.opfname AS sort_family
FROM pg_amop LEFT JOIN LATERAL (SELECT opfname FROM pg_opfamily WHERE oid = amopsortfamily) s ON true
	JOIN pg_opfamily f ON f.oid = amopfamily JOIN pg_am am ON am.oid = f.opfmethod
	JOIN member ON classid = 'pg_opfamily'::regclass AND objid = f.oid
ORDER BY name, amopstrategy, amopopr::regoperator::text COLLATE "C";
SELECT amname, opfname, amprocnum, amproc::regprocedure
FROM pg_amproc JOIN pg_opfamily f ON f.oid = amprocfamily JOIN pg_am am ON am.oid = f.opfmethod
	JOIN member ON classid = 'pg_opfamily'::regclass AND objid = f.oid
ORDER BY name, amprocnum;

-- access methods, and whatever is none of the above
SELECT name FROM member WHERE classid NOT IN ('pg_type'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass,
	'pg_cast'::regclass, 'pg_opclass'::regclass, 'pg_opfamily'::regclass) ORDER BY name;

-- settings, which exist once the library is loaded
SELECT vecext_simd() IS NOT NULL;
SELECT name, vartype, context, enumvals FROM pg_settings WHERE name LIKE 'vecext.%' ORDER BY name COLLATE "C";

-- the catalogs are consistent: every class valid, every commutator and negator mutual
SELECT name FROM pg_opclass JOIN member ON classid = 'pg_opclass'::regclass AND objid = oid WHERE NOT amvalidate(oid);
SELECT a.oid::regoperator FROM pg_operator a JOIN member ON classid = 'pg_operator'::regclass AND objid = a.oid
WHERE NOT EXISTS (SELECT FROM pg_operator b WHERE b.oid = a.oprcom AND b.oprcom = a.oid) AND a.oprcom <> 0
	OR NOT EXISTS (SELECT FROM pg_operator b WHERE b.oid = a.oprnegate AND b.oprnegate = a.oid) AND a.oprnegate <> 0;

-- every object says what it is: no row here
SELECT name AS without_comment FROM member
WHERE obj_description(objid, classid::regclass::name) IS NULL ORDER BY name;

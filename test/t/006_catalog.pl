# Every object of the extension is commented, in our library, and goes with it.
use strict;
use warnings FATAL => 'all';
use Test::More;
use VecextTest;

my $node = vecext_node('main');

# members of the extension
my $members = <<'SQL';
SELECT pg_describe_object(d.classid, d.objid, 0)
FROM pg_depend d
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecext')
SQL
my $count = () = $node->safe_psql('postgres', $members) =~ /^/mg;
cmp_ok($count, '>', 150, 'the extension has members');
# array types come by themselves, and are members from PostgreSQL 17 on
is($node->safe_psql('postgres', $members . <<'SQL'), '', 'each has a comment');
	AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (SELECT typarray FROM pg_type))
	AND NOT EXISTS (SELECT FROM pg_description c
		WHERE c.classoid = d.classid AND c.objoid = d.objid AND c.objsubid = 0)
ORDER BY 1
SQL

my $functions = <<'SQL';
SELECT p.oid::regprocedure FROM pg_proc p
JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'vecext'
WHERE p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
SQL
is($node->safe_psql('postgres', "$functions AND p.probin <> '\$libdir/vecext'"),
	'', 'every C function is in our library');
is($node->safe_psql('postgres', "$functions AND p.prosrc NOT LIKE 'vecext\\_%'"),
	'', 'every C symbol carries our prefix');
is( $node->safe_psql('postgres',
		"$functions AND p.proparallel <> 's' AND p.proname !~ '^vecext_(index|recall|explain)|handler\$'"),
	'', 'every C function that computes is parallel safe');

# dropped and created again, in a schema of its own, by an owner who is no superuser
$node->safe_psql('postgres', <<'SQL');
DROP EXTENSION vecext;
CREATE ROLE owner LOGIN;
CREATE DATABASE owned OWNER owner;
SQL
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_type WHERE typname ~ '^_?(vector|halfvec|sparsevec)\$'"),
	'0', 'DROP EXTENSION leaves no type');
$node->safe_psql('owned', <<'SQL', extra_params => [ '-U', 'owner' ]);
CREATE SCHEMA vec;
CREATE EXTENSION vecext SCHEMA vec;
SQL
is( $node->safe_psql('owned', "SELECT '[3,4]'::vec.vector OPERATOR(vec.<->) '[0,0]'"),
	'5', 'a database owner may install it, in a schema');
$node->safe_psql('owned', 'CREATE SCHEMA elsewhere; ALTER EXTENSION vecext SET SCHEMA elsewhere');
is( $node->safe_psql('owned',
		"SET search_path = elsewhere; SELECT avg(v) FROM (VALUES ('[1]'::vector), ('[3]')) t(v)"),
	'[2]', 'and move it');

done_testing();

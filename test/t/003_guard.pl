# vecext and pgvector in one database, or their libraries in one session, are
# refused in words.  test/modules/fake_vector plays pgvector.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

plan skip_all => 'test/modules/fake_vector is not installed'
  if $node->safe_psql('postgres', <<'SQL') eq '0';
SELECT count(*) FROM pg_available_extensions
WHERE name = 'vector' AND comment = 'stand-in for pgvector in tests of vecext'
SQL

# run statements in one session; returns output and messages
sub session
{
	my ($database, $sql) = @_;
	my ($rc, $out, $err) = $node->psql($database, $sql, on_error_stop => 0);
	return ($out, $err);
}

# a database that has pgvector; the session has not loaded its library
$node->safe_psql('postgres', 'CREATE DATABASE has_vector');
$node->safe_psql('has_vector', 'CREATE EXTENSION vector');
my ($out, $err) = session('has_vector', <<'SQL');
\set VERBOSITY verbose
CREATE EXTENSION vecext;
SELECT 'alive';
SQL
like($err, qr/ERROR:  55000: .*pgvector/, 'not into a database that has pgvector');
like($err, qr/^HINT:  .*dump/m, 'the hint says how to migrate');
is($out, 'alive', 'the session lives');
is( $node->safe_psql('has_vector', "SELECT string_agg(extname, ',') FROM pg_extension WHERE extname LIKE 've%'"),
	'vector', 'nothing was left behind');

# the session has loaded pgvector's library
($out, $err) = session('has_vector', <<'SQL');
SELECT fake_vector_loaded();
CREATE EXTENSION vecext;
LOAD 'vecext';
SELECT 'alive';
SELECT fake_vector_loaded();
SQL
is(() = $err =~ /ERROR:.*pgvector/g, 2, 'each statement that needs our library fails by name');
unlike($err, qr/redefine|FATAL/, 'and nothing else is said');
is($out, "t\nalive\nt", 'the session goes on, with pgvector');

# a setting made before any library is loaded is no sign of pgvector
($out, $err) = session('postgres', <<'SQL');
SET hnsw.ef_search = 100;
CREATE EXTENSION vecext;
SELECT '[1,2]'::vector;
SQL
is($out, '[1,2]', 'a placeholder setting does no harm');
is($err, '', 'nor a warning');

# pgvector replaced by vecext under a session that has loaded the former
my $other = "psql -X -q -v ON_ERROR_STOP=1 -d \"" . $node->connstr('has_vector') . '"';
($out, $err) = session('has_vector', <<SQL);
SELECT fake_vector_loaded();
\\! $other -c 'DROP EXTENSION vector' -c 'CREATE EXTENSION vecext'
SELECT '[1,2]'::vector;
SELECT 'alive';
SQL
like($err, qr/FATAL:.*pgvector/, 'the session ends with the reason');
like($err, qr/HINT:  .*new session/, 'and a hint');
is($out, 't', 'nothing runs after it');
is($node->safe_psql('has_vector', "SELECT '[1,2]'::vector"), '[1,2]', 'a new session works');

done_testing();

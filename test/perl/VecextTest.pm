# What several TAP tests need.
package VecextTest;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(vecext_node same_rows fill_types);

# A running server with the extension in database postgres.
#	init => [...]	arguments of init()
#	conf => "..."	lines for postgresql.conf
sub vecext_node
{
	my ($name, %arg) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(@{ $arg{init} // [] });
	$node->append_conf('postgresql.conf', $arg{conf}) if defined $arg{conf};
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION vecext');
	return $node;
}

# SQL that creates table $name and fills it with each type at its extremes:
# 1 dimension and 16,000, subnormals, negative zero, the largest numbers, NULL.
sub fill_types
{
	my ($name) = @_;
	return <<SQL;
CREATE TABLE $name (id serial PRIMARY KEY, v vector, h halfvec, s sparsevec, b bit(20));
INSERT INTO $name (v, h, s, b)
	SELECT random_vector(d, 42), random_vector(d, 43)::halfvec, random_vector(d, 44)::sparsevec,
		(d * 7919 % 1048576)::bit(20)
	FROM unnest(ARRAY[1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 128, 500, 1536, 2000, 16000]) d;
INSERT INTO $name (v, h, s) VALUES
	('[1e-45,-1e-45,1.17549435e-38,3.4028235e38,-3.4028235e38,-0,0,0.1]',
	 '[6e-8,-6e-8,65504,-65504,-0,0,0.1]',
	 '{1:1e-45,500000000:-3.4028235e38,1000000000:0.1}/1000000000'),
	(NULL, '[1]', '{}/1000000000'),
	('[1]', NULL, '{}/1'),
	('[-0]', '[-0]', NULL);
SQL
}

# SQL that returns the number of rows in which the tables differ, by the bits
# of every value
sub same_rows
{
	my ($left, $right) = @_;
	my $bits = 'id, vector_send(v) v, halfvec_send(h) h, sparsevec_send(s) s, b';
	return <<SQL;
SELECT count(*) FROM (SELECT $bits FROM $left) l FULL JOIN (SELECT $bits FROM $right) r USING (id)
WHERE (l.v, l.h, l.s, l.b) IS DISTINCT FROM (r.v, r.h, r.s, r.b) OR l IS NULL OR r IS NULL
SQL
}

1;

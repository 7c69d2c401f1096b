# Attacks on a running server: statements cancelled at many moments, files that
# may not grow, a file system that is full.
package VecextAttack;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';
use Fcntl ':flock';
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(cancel_many stray_files limit_files take_disk fill_disk is_full);

# files of relations that no catalog entry names, and of temporary data
sub stray_files
{
	my ($node) = @_;
	return $node->safe_psql('postgres', <<'SQL');
SELECT string_agg(name, ' ') FROM (
	SELECT f AS name FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres')) f
	WHERE f ~ '^[0-9]+$' AND pg_filenode_relation(0, f::oid) IS NULL
		-- of a mapped catalog, or kept until the next checkpoint as an empty file
		AND (pg_stat_file('base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || '/' || f)).size > 0
		AND f::oid >= 16384
	UNION ALL
	SELECT f FROM pg_ls_dir('base/pgsql_tmp', true, false) f) s
SQL
}

# Runs the statement in one session, first to its end, then cancelled after
# different parts of that time.
#	settings	=> SQL run once, before all
#	prepare		=> SQL run before each attempt
#	undo		=> SQL run after each attempt
#	check		=> SELECT run after each attempt; must return no row
#	moments		=> number of attempts
sub cancel_many
{
	my ($node, $name, $statement, %arg) = @_;
	my $moments = $arg{moments};
	my ($settings, $prepare, $undo, $check) =
	  map { $arg{$_} ? "$arg{$_};\n" : '' } qw(settings prepare undo check);
	# the second time, when all is in the caches; the fastest of both
	my $clock = "SELECT 'TIME', 1000 * extract(epoch FROM clock_timestamp() - :'start');\n";
	my $once = "${prepare}SELECT clock_timestamp() AS start \\gset\n$statement;\n$clock$undo";
	my $times = $node->safe_psql('postgres', "$settings$once$once");
	my ($whole) = sort { $a <=> $b } $times =~ /^TIME\|(.*)$/mg;

	my $script = $settings;
	for my $moment (1 .. $moments)
	{
		# odd steps, so that repeated phases are not met at the same place
		my $timeout = 1 + int($whole * (($moment * 0.618) - int($moment * 0.618)));
		$script .= "${prepare}SELECT clock_timestamp() AS start \\gset\n"
		  . "SET statement_timeout = $timeout;\n$statement;\n\\set state :SQLSTATE\n"
		  . "SET statement_timeout = 0;\n"
		  . "SELECT 'STATE', :'state', 1000 * extract(epoch FROM clock_timestamp() - :'start') - $timeout;\n"
		  . "\\echo CHECK\n$check\\echo CHECKED\n$undo";
	}
	my ($rc, $out, $err) = $node->psql('postgres', $script, on_error_stop => 0);
	my @state = map { [ split /\|/ ] } $out =~ /^STATE\|(.*)$/mg;
	is(scalar(@state), $moments, "$name: the session lives");
	is(join(' ', grep { !/^(00000|57014)$/ } map { $_->[0] } @state), '', "$name: done or cancelled")
	  or diag($err);
	is(join('', grep { !/canceling statement due to|^CONTEXT|^NOTICE|^$/ } $err =~ /^(.*(?:ERROR|WARNING).*)$/mg),
		'', "$name: and nothing else");
	is(join('', $out =~ /^CHECK\n(.*?)^CHECKED$/msg), '', "$name: sound after each") if $check;
	my @late = sort { $b <=> $a } map { $_->[1] } grep { $_->[0] eq '57014' } @state;
	cmp_ok(scalar(@late), '>', 0, "$name: " . @late . " of $moments were cancelled");
	# a second is the aim; other tests run on this machine
	cmp_ok($late[0] // 0, '<', 3000, "$name: soon, at most " . int($late[0] // 0) . ' ms late');
	is(stray_files($node), '', "$name: no file is left");
	is($node->safe_psql('postgres', <<'SQL'), '', "$name: no lock and no worker is left");
SELECT pid, backend_type FROM pg_stat_activity WHERE backend_type IN ('client backend', 'parallel worker')
	AND pid <> pg_backend_pid() AND state <> 'idle'
UNION ALL SELECT pid, relation::regclass::text FROM pg_locks WHERE locktype IN ('relation', 'extend', 'page', 'advisory')
	AND pid <> pg_backend_pid();
SQL
	return;
}

# largest file that sessions and workers started from now on may write
sub limit_files
{
	my ($node, $bytes) = @_;
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];
	# whole pages
	$bytes -= $bytes % 8192 if $bytes ne 'unlimited';
	system_or_bail('prlimit', "--pid=$postmaster", "--fsize=$bytes:");
	return;
}

# tests run side by side, and there is one small disk: wait for it, and keep it
my $disk_lock;

sub take_disk
{
	my ($disk) = @_;
	open($disk_lock, '>', "$disk/lock") or die "$disk/lock: $!";
	flock($disk_lock, LOCK_EX) or die "$disk/lock: $!";
	return;
}

# leaves so many bytes free on a small file system
sub fill_disk
{
	my ($disk, $free) = @_;
	my $chunk = "\1" x 4096;
	my $all = 0;

	open(my $file, '>', "$disk/filler") or die "filler: $!";
	while (defined(my $n = syswrite($file, $chunk)))
	{
		$all += $n;
		last if $n < 4096;
	}
	truncate($file, $all > $free ? $all - $free : 0);
	close($file);
	return;
}

# runs it to an error that tells of the disk
sub is_full
{
	my ($node, $sql, $name) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	isnt($rc, 0, "$name: fails");
	like($err, qr/ERROR:  (53100: could not|XX000: could not (extend|write).*File too large)/,
		"$name: says why");
	return;
}

1;

# Counts the tests in one log and appends what failed or skipped to a report.
#
#	perl count.pl (tap|regress) NAME LOG STATUS REPORT
#
# prints "PASSED FAILED SKIPPED".  "tap" is a TAP stream; "regress" the output
# of pg_regress, which is TAP from PostgreSQL 16 on and a table before.
# STATUS is the exit status of the program that wrote the log: one that is not
# zero counts as a failure of its own if no test failed.  A log without tests
# is a failure.
use strict;
use warnings FATAL => 'all';
use TAP::Parser;

my ($kind, $name, $log, $status, $report) = @ARGV;
open(my $in, '<', $log) or die "$log: $!";
my $text = do { local $/; <$in> } // '';
close $in;
open(my $out, '>>', $report) or die "$report: $!";

if ($kind eq 'regress' && $text !~ /^1\.\.\d+/m)
{
	# PostgreSQL 15: "test name  ... ok  12 ms"
	my ($n, $tap) = (0, '');
	while ($text =~ /^(?:test|    ) +(\S+) +\.\.\. (ok|\S.*?) +\d* *m?s?$/mg)
	{
		$tap .= ($2 eq 'ok' ? '' : 'not ') . 'ok ' . ++$n . " - $1\n";
	}
	$text = $n > 0 ? "${tap}1..$n\n" : '';
}
$text = "# empty\n" if $text eq '';

my $parser = TAP::Parser->new({ tap => $text, ignore_exit => 1 });
my ($passed, $failed, $skipped) = (0, 0, 0);
while (my $result = $parser->next)
{
	if ($kind eq 'tap' && $result->is_plan && $result->has_skip)
	{
		$skipped++;
		print $out "SKIPPED $name: ", $result->explanation, "\n";
	}
	next unless $result->is_test;
	my $what = "$name: " . ($result->description =~ s/^- //r);
	if (!$result->is_actual_ok && !$result->has_todo)
	{
		$failed++;
		print $out "FAILED  $what\n";
	}
	elsif ($result->has_skip)
	{
		$skipped++;
		print $out "SKIPPED $what (", $result->explanation, ")\n";
	}
	else
	{
		$passed++;
	}
}

my $ran = $passed + $failed + $skipped;
my @broken = $ran > 0 ? $parser->parse_errors : ('no test ran');
push @broken, "exit status $status" if $status != 0 && $failed == 0;
if (@broken)
{
	$failed++;
	print $out "FAILED  $name: ", join('; ', @broken), "\n";
}
print "$passed $failed $skipped\n";

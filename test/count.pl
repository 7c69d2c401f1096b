# Counts the tests in one log and appends what failed or skipped to a report.
#
#	perl count.pl (tap|unit|regress) NAME LOG STATUS REPORT
#
# prints "PASSED FAILED SKIPPED".  "tap" is a TAP stream; "unit" several, each
# after a line "# NAME_test"; "regress" the output of pg_regress, which is TAP
# from PostgreSQL 16 on and a table before.  STATUS is the exit status of the
# program that wrote the log: one that is not zero counts as a failure of its
# own if no test failed.  A stream without tests is a failure.
use strict;
use warnings FATAL => 'all';
use TAP::Parser;

my ($kind, $name, $log, $status, $report) = @ARGV;
my ($passed, $failed, $skipped) = (0, 0, 0);

open(my $in, '<', $log) or die "$log: $!";
my $text = do { local $/; <$in> } // '';
close $in;
open(my $out, '>>', $report) or die "$report: $!";

# PostgreSQL 15 prints "test name  ... ok  12 ms"
sub table_to_tap
{
	my ($table) = @_;
	my ($n, $tap) = (0, '');
	while ($table =~ /^(?:test|    ) +(\S+) +\.\.\. (ok|\S.*?) +\d* *m?s?$/mg)
	{
		$tap .= ($2 eq 'ok' ? '' : 'not ') . 'ok ' . ++$n . " - $1\n";
	}
	return $n > 0 ? "${tap}1..$n\n" : '';
}

sub count_stream
{
	my ($stream, $tap) = @_;
	my $ran = 0;

	# the parser does not take nothing
	my $parser = TAP::Parser->new({ tap => "# $stream\n$tap", ignore_exit => 1 });
	while (my $result = $parser->next)
	{
		if ($kind ne 'regress' && $result->is_plan && $result->has_skip)
		{
			$ran++;
			$skipped++;
			print $out "SKIPPED $stream: ", $result->explanation, "\n";
		}
		next unless $result->is_test;
		$ran++;
		my $what = "$stream: " . ($result->description =~ s/^- //r);
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

	my @broken = $ran > 0 ? $parser->parse_errors : ('no test ran');
	if (@broken)
	{
		$failed++;
		print $out "FAILED  $stream: ", join('; ', @broken), "\n";
	}
}

if ($kind eq 'unit')
{
	my @streams = grep { /^# \w+_test$/m } split(/^(?=# \w+_test$)/m, $text);
	count_stream(/^# (\w+)/ ? $1 : $name, $_) for @streams ? @streams : ('');
}
else
{
	$text = table_to_tap($text) if $kind eq 'regress' && $text !~ /^1\.\.\d+/m;
	count_stream($name, $text);
}

if ($status != 0 && $failed == 0)
{
	$failed++;
	print $out "FAILED  $name: exit status $status\n";
}
print "$passed $failed $skipped\n";

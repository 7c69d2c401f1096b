# check_meta.pl META.json vecext.control: META.json follows the PGXN Meta Spec
# 1.0.0 as far as it has rules for the keys we use, names files that exist, and
# agrees with the control file.  Prints what is wrong.
use strict;
use warnings FATAL => 'all';
use File::Basename;
use JSON::PP;

my ($meta_file, $control_file) = @ARGV;
my $bad = 0;

sub slurp
{
	open(my $fh, '<', $_[0]) or die "$_[0]: $!\n";
	local $/;
	return scalar <$fh>;
}

sub check
{
	my ($ok, $message) = @_;
	return if $ok;
	print "$meta_file: $message\n";
	$bad = 1;
}

my $meta = JSON::PP->new->utf8->decode(slurp($meta_file));
my $semver = qr/\A(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-?[A-Za-z][0-9A-Za-z-]*)?\z/;
my $term = qr/\A[^\s\/\\[:cntrl:]]{2,}\z/;
my %status = map { $_ => 1 } qw(stable testing unstable);
my %phase = map { $_ => 1 } qw(configure build test runtime develop);
my %relation = map { $_ => 1 } qw(requires recommends suggests conflicts);
my %license = map { $_ => 1 } qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd
  freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2 gpl_3 lgpl_2_1 lgpl_3_0 mit mozilla_1_0
  mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib open_source restricted
  unrestricted unknown);
my %known = map { $_ => 1 } qw(name version abstract maintainer license provides meta-spec
  description generated_by tags no_index prereqs release_status resources);

for my $key (qw(name version abstract maintainer license provides meta-spec))
{
	check(defined $meta->{$key} && $meta->{$key} ne '', "required key \"$key\" is missing");
}
for my $key (keys %$meta)
{
	check($known{$key} || $key =~ /^x_/i, "unknown key \"$key\"");
}
check($meta->{name} =~ $term, 'name is not a term');
check($meta->{version} =~ $semver, 'version is not a semantic version');
check($license{$_}, "license \"$_\" is not in the list")
  for ref $meta->{license} ? () : $meta->{license};
check(($meta->{'meta-spec'}{version} // '') eq '1.0.0', 'meta-spec version is not 1.0.0');
check(!exists $meta->{release_status} || $status{ $meta->{release_status} },
	'release_status is none of stable, testing, unstable');
check(ref $meta->{tags} eq 'ARRAY' && !grep({ length > 256 || m{[/\\[:cntrl:]]} } @{ $meta->{tags} }),
	'tags is not a list of tags') if exists $meta->{tags};

while (my ($extension, $provided) = each %{ $meta->{provides} })
{
	check($extension =~ $term, "provides: \"$extension\" is not a term");
	check(($provided->{version} // '') =~ $semver, "provides $extension: no semantic version");
	check(defined $provided->{file}, "provides $extension: no file");
	for my $key (grep { defined $provided->{$_} } qw(file docfile))
	{
		check(-f dirname($meta_file) . "/$provided->{$key}",
			"provides $extension: no $provided->{$key} here");
	}
}
while (my ($phase, $relations) = each %{ $meta->{prereqs} // {} })
{
	check($phase{$phase}, "prereqs: unknown phase \"$phase\"");
	while (my ($relation, $wanted) = each %$relations)
	{
		check($relation{$relation}, "prereqs: unknown relation \"$relation\"");
		check($wanted->{$_} =~ $semver || $wanted->{$_} eq '0', "prereqs: version of $_")
		  for keys %$wanted;
	}
}

# the control file says 1.0, a semantic version has three numbers
my ($default) = slurp($control_file) =~ /^default_version\s*=\s*'([^']+)'/m;
check(defined $default && $meta->{provides}{vecext}{version} =~ /\A\Q$default\E(?:\.|\z)/,
	'version of vecext differs from default_version in ' . basename($control_file));
check(-f dirname($meta_file) . "/src/sql/vecext--$default.sql"
	|| glob(dirname($meta_file) . "/src/sql/vecext--*--$default.sql"),
	"no install script leads to version $default");
exit $bad;

# Writing into the file of an hnsw index while the server is stopped.  The
# offsets are those of hnsw_page.h and slot.h.
package VecextDamage;
use strict;
use warnings FATAL => 'all';
use Exporter 'import';

our @EXPORT = qw(index_path read_pages write_pages nblocks get_at put_at meta_of slot_at
  page_kind blocks_of_kind u16 u32 PAGE PAGE_START NONE
  META MODEL ENTRY NAV REFINE UPPER TIDS VALUE FILTER);

use constant { PAGE => 8192, PAGE_START => 24, OPAQUE => 8184, NONE => 0xffffffff };
use constant {
	META => 1, MODEL => 2, ENTRY => 3, NAV => 4, REFINE => 5, UPPER => 6, TIDS => 7, VALUE => 8,
	FILTER => 9
};

sub u16 { return pack('S', $_[0]) }
sub u32 { return pack('L', $_[0]) }

sub index_path
{
	my ($node, $index) = @_;
	return $node->data_dir . '/'
	  . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$index')");
}

sub read_pages
{
	my ($path) = @_;
	open(my $fh, '<:raw', $path) or die "$path: $!";
	local $/;
	my $bytes = <$fh>;
	close $fh;
	return $bytes;
}

sub write_pages
{
	my ($path, $bytes) = @_;
	open(my $fh, '>:raw', $path) or die "$path: $!";
	print $fh $bytes;
	close $fh or die "$path: $!";
	return;
}

sub nblocks { return length(${ $_[0] }) / PAGE }

# bytes at an offset behind the page header of a block
sub get_at
{
	my ($pages, $blkno, $offset, $format) = @_;
	return unpack($format, substr($$pages, $blkno * PAGE + PAGE_START + $offset, 64));
}

sub put_at
{
	my ($pages, $blkno, $offset, $bytes) = @_;
	substr($$pages, $blkno * PAGE + PAGE_START + $offset, length($bytes)) = $bytes;
	return;
}

sub page_kind
{
	my ($pages, $blkno) = @_;
	return unpack('S', substr($$pages, $blkno * PAGE + OPAQUE + 4, 2));
}

sub blocks_of_kind
{
	my ($pages, $kind) = @_;
	return grep { page_kind($pages, $_) == $kind } 0 .. nblocks($pages) - 1;
}

# what the metapage says, and the layout that follows from it
sub meta_of
{
	my ($pages) = @_;
	my %meta = (
		m => get_at($pages, 0, 24, 'S'),
		slot_size => get_at($pages, 0, 40, 'L'),
		upper_size => get_at($pages, 0, 44, 'L'),
		model_start => get_at($pages, 0, 52, 'L'),
		model_bytes => get_at($pages, 0, 56, 'L'),
		entry_page => get_at($pages, 0, 60, 'L'),
		segment_start => get_at($pages, 0, 96, 'L'),
		segment_nnav => get_at($pages, 0, 104, 'L'));
	my $links = $meta{m} + int($meta{m} / 2);
	my $padded = int(($links + 7) / 8) * 8;
	my $groups = 0;
	if ($meta{model_bytes} > 0)
	{
		my ($bits, $dims) = get_at($pages, $meta{model_start}, 24, 'l2');
		$groups = $bits * $dims / 4;
	}
	$meta{groups} = $groups;
	$meta{code_offset} = 24 + 4 * $padded;
	$meta{code_offset} += 4 * $padded + $padded * $groups / 2 if $groups > 0;
	$meta{per_page} = int((PAGE - PAGE_START - 8) / $meta{slot_size});
	return \%meta;
}

# block and offset of a node of the first segment
sub slot_at
{
	my ($meta, $node) = @_;
	return ($meta->{segment_start} + int($node / $meta->{per_page}),
		$node % $meta->{per_page} * $meta->{slot_size});
}

1;

-- The access method ivfflat with every operator class, against exact search.
SET jit = off;
\getenv abs_srcdir PG_ABS_SRCDIR
\set class :abs_srcdir '/sql/include/ivfflat_class.psql'

-- eight small integers that look random; halves and sums of them are exact
\set array '(SELECT array_agg((i * p % 1009) % 64 - 31) FROM unnest(ARRAY[7919, 6841, 5779, 4723, 3671, 2633, 1613, 607]) p)'

\set compact 1
\set column vector(8)
\set value :array '::vector(8)'
\set ops vector_l2_ops
\set op <->
\i :class
\set ops vector_ip_ops
\set op <#>
\i :class
\set ops vector_cosine_ops
\set op <=>
\i :class
\set column halfvec(8)
\set value :array '::halfvec(8)'
\set ops halfvec_l2_ops
\set op <->
\i :class
\set ops halfvec_ip_ops
\set op <#>
\i :class
\set ops halfvec_cosine_ops
\set op <=>
\i :class

\set compact 0
\set ops halfvec_l1_ops
\set op <+>
\i :class
\set column vector(8)
\set value :array '::vector(8)'
\set ops vector_l1_ops
\i :class
\set column sparsevec(8)
\set value :array '::vector(8)::sparsevec(8)'
\set ops sparsevec_l1_ops
\i :class
\set ops sparsevec_l2_ops
\set op <->
\i :class
\set ops sparsevec_ip_ops
\set op <#>
\i :class
\set ops sparsevec_cosine_ops
\set op <=>
\i :class
\set column bit(20)
\set value '(i * 7919 % 1048573)::bit(20)'
\set ops bit_hamming_ops
\set op <~>
\i :class
\set ops bit_jaccard_ops
\set op <%>
\i :class

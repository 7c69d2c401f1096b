/* placeholder until the scaffold is shared */
#include "ivfflat/ivfbuild.h"
IvfLeader *
ivf_parallel_begin(IvfBuild *build, int workers)
{
	return NULL;
}
void
ivf_parallel_scan(IvfLeader *leader, IvfBuild *build)
{
}
void
ivf_parallel_end(IvfLeader *leader)
{
}

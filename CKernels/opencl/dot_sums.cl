// The sums of dot products as integers: exact, however many are added.
typedef int quad_sums;
enum { MOST_QUADS = GROUP / 4 };
int sum_of(quad_sums sums) { return sums; }

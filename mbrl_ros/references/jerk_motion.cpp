// JerkMotion of jerk_motion.py over rising times, in the same order of operations.
struct Motion {
  long long n, pieces, count;
  double begin, end;                                    // [s]: before it, `start`; from it on, `goal`
  const double *times, *begins, *C, *start, *goal;      // (count,), (n, pieces), (n, pieces, 4), (n,), (n,)
  double* y;                                            // (count, n)
};

extern "C" void motion_sample(Motion* m) {
  for (long long j = 0; j < m->n; j++) {
    const double *begins = m->begins + j * m->pieces, *C = m->C + 4 * j * m->pieces;
    long long k = 0;
    for (long long i = 0; i < m->count; i++) {
      const double t = m->times[i];
      double* y = m->y + i * m->n + j;
      if (!(t >= m->begin)) {
        *y = m->start[j];
      } else if (!(t < m->end)) {
        *y = m->goal[j];
      } else {
        while (k + 1 < m->pieces && begins[k + 1] <= t - m->begin) k++;
        const double s = t - m->begin - begins[k], *c = C + 4 * k;
        *y = c[0] + s * (c[1] + s * (c[2] + s * c[3]));
      }
    }
  }
}

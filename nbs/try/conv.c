// A 3x3 convolution, as in lesson 04: every output pixel is a weighted sum of the nine pixels around it.
//   x: (h+2, w+2, ci), a picture with a border of zeros      k: (3, 3, ci, co)      bias: (co)
//   y: (h+2, w+2, co), written inside its border; add: a picture of y's shape to add (may be y itself), or 0
// Four numbers fit into one register, a v4. The kernel makes four pixels times twelve channels at once: 12 registers of sums.
// co is a multiple of 12. Sums of pixels to the right of the picture are thrown away.
typedef float v4 __attribute__((vector_size(16), aligned(4)));

__attribute__((export_name("conv")))
void conv(const float *x, const float *k, const float *bias, const float *add, float *y,
          int h, int w, int ci, int co, int relu) {
    for (int i = 0; i < h; i++)
    for (int j = 0; j < w; j += 4)
    for (int c = 0; c < co; c += 12) {
        v4 sum[4][3];
        for (int p = 0; p < 4; p++) for (int v = 0; v < 3; v++) sum[p][v] = *(const v4*)(bias + c + 4*v);
        for (int dy = 0; dy < 3; dy++) {
            const float *in = x + ((i + dy)*(w + 2) + j)*ci, *weight = k + dy*3*ci*co + c;
            for (int n = 0; n < 3*ci; n++, in++, weight += co)           // three pixels of a row lie side by side: dx and channel at once
                for (int v = 0; v < 3; v++) {
                    v4 here = *(const v4*)(weight + 4*v);
                    for (int p = 0; p < 4; p++) sum[p][v] += here*in[p*ci];
                }
        }
        for (int p = 0; p < 4 && j + p < w; p++) for (int v = 0; v < 3; v++) {
            int at = ((i + 1)*(w + 2) + j + p + 1)*co + c + 4*v;
            v4 s = sum[p][v];
            if (add) s += *(const v4*)(add + at);
            if (relu) for (int e = 0; e < 4; e++) s[e] = s[e] > 0 ? s[e] : 0;
            *(v4*)(y + at) = s;
        }
    }
}

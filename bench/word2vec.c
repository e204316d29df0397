/* CBOW with negative samples, written plainly: the loops of word2vec, one thread, float vectors.
 *
 * Reads samples that bench/word2vec.py has drawn, so that both programs do the same work, and
 * prints the CPU seconds of one pass, the mean loss, and the sum of all input vectors' entries.
 *
 *     word2vec SAMPLES WORDS WIDTH WINDOW PICKS COUNT RATE DECAY
 *
 * SAMPLES holds, for each sample, 2 WINDOW int32 context words (-1: none) and PICKS int32 words,
 * the first of which is the right one. With WIDTH >= WORDS the input vectors start as unit vectors.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
    if (argc != 9) return 2;
    const long words = atol(argv[2]), width = atol(argv[3]), window = atol(argv[4]);
    const long picks = atol(argv[5]), count = atol(argv[6]);
    const float rate = atof(argv[7]), decay = atof(argv[8]);
    const long each = 2 * window + picks;
    int *samples = malloc(sizeof(int) * each * count);
    FILE *file = fopen(argv[1], "rb");
    if (!file || !samples || fread(samples, sizeof(int), each * count, file) != (size_t)(each * count))
        return 1;
    fclose(file);
    float *input = calloc(words * width, sizeof(float)), *output = calloc(words * width, sizeof(float));
    float *h = malloc(sizeof(float) * width), *e = malloc(sizeof(float) * width);
    if (!input || !output || !h || !e) return 1;
    for (long k = 0; k < words; k++) input[k * width + k % width] = 1;
    double loss = 0, sum = 0;
    const clock_t began = clock();
    for (long t = 0; t < count; t++) {
        const int *context = samples + t * each, *chosen = context + 2 * window;
        const float left = 1 - (float)t / count, shrink = rate * left * decay;
        long here = 0;
        memset(h, 0, sizeof(float) * width);
        memset(e, 0, sizeof(float) * width);
        for (long c = 0; c < 2 * window; c++) {
            if (context[c] < 0) continue;
            const float *x = input + context[c] * width;
            for (long k = 0; k < width; k++) h[k] += x[k];
            here++;
        }
        if (!here) continue;
        for (long k = 0; k < width; k++) h[k] /= here;
        for (long j = 0; j < picks; j++) {
            float *v = output + chosen[j] * width, s = 0;
            for (long k = 0; k < width; k++) s += h[k] * v[k];
            const float p = 1 / (1 + expf(-s)), g = p - (j == 0);
            loss -= logf(j == 0 ? p : 1 - p);
            for (long k = 0; k < width; k++) e[k] += g * v[k];
            for (long k = 0; k < width; k++) v[k] -= rate * left * g * h[k] + shrink * v[k];
        }
        for (long c = 0; c < 2 * window; c++) {
            if (context[c] < 0) continue;
            float *x = input + context[c] * width;
            for (long k = 0; k < width; k++) x[k] -= rate * left / here * e[k] + shrink * x[k];
        }
    }
    const double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    for (long k = 0; k < words * width; k++) sum += input[k];
    printf("%.3f %.6f %.4f\n", seconds, loss / count, sum);
    return 0;
}

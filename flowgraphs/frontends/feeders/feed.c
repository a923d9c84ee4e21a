/* Feeds samples of an ADC to osgp-sdr. Float32, volts, come in at standard input; for little-endian machines.
   cc feed.c -o feed -lzmq && read_adc | ./feed tcp://127.0.0.1:5555 400000 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#pragma pack(push, 1)
struct header {
    char magic[4];
    uint8_t version, kind;  /* 1, 1 = samples */
    uint16_t station;       /* 0xFFFF = none */
    int64_t first_sample;
    double sample_rate;     /* Hz */
    uint32_t count, flags;  /* flags: bits 16..31 another number at each start */
};
#pragma pack(pop)

int main(int argc, char **argv)
{
    static float samples[1000];
    void *publisher = zmq_socket(zmq_ctx_new(), ZMQ_PUB);
    if (argc != 3 || zmq_bind(publisher, argv[1]) != 0) {
        fprintf(stderr, "feed ENDPOINT RATE: %s\n", zmq_strerror(zmq_errno()));
        return 2;
    }
    struct header h = {{'O', 'S', 'D', 'R'}, 1, 1, 0xFFFF, 0, atof(argv[2]), 0, (uint32_t)(time(NULL) | 1) << 16};
    while ((h.count = (uint32_t)fread(samples, sizeof samples[0], 1000, stdin)) > 0) {
        zmq_send(publisher, &h, sizeof h, ZMQ_SNDMORE);
        zmq_send(publisher, samples, h.count * sizeof samples[0], 0);
        h.first_sample += h.count;
    }
    zmq_close(publisher); /* what is still queued is sent while the program waits a moment */
    nanosleep(&(struct timespec){1, 0}, NULL);
    return 0;
}

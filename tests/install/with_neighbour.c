/* Two Rust libraries in one program, both of which panic inside and catch it. */

#include <drr.h>
#include <stdint.h>
#include <stdlib.h>

uint32_t neighbour(uint32_t n);

int main(int argc, char **argv) {
    drr_model *model;
    if (argc != 2 || drr_model_open(argv[1], NULL, &model) != DRR_OK || neighbour(3) != 4)
        return EXIT_FAILURE;
    drr_model_close(model);
    return EXIT_SUCCESS;
}

// Compiled twice, with exceptions and without, and linked into one program: neither half gets the
// other's functions.
//
// usage: modes MODEL
#include "drr.hpp"

// The status by its number: its type is not the same in both halves.
std::uint32_t status_without_exceptions(const char *path);

#ifdef DRR_NO_EXCEPTIONS

std::uint32_t status_without_exceptions(const char *path) {
    return static_cast<std::uint32_t>(drr::Model::open(path).status());
}

#else

static std::uint32_t status_with_exceptions(const char *path) {
    try {
        drr::Model::open(path);
    } catch (const drr::Error &error) {
        return static_cast<std::uint32_t>(error.status());
    }
    return DRR_OK;
}

int main(int, char **arguments) {
    for (const char *path : {"no-such-file", static_cast<const char *>(arguments[1])}) {
        const std::uint32_t expected = path == arguments[1] ? DRR_OK : DRR_ERROR_IO;
        if (status_with_exceptions(path) != expected || status_without_exceptions(path) != expected)
            return 1;
    }
    return 0;
}

#endif

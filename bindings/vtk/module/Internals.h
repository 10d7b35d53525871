/// The state of a vtkDRRAlgorithm that users of the module need not see.

#ifndef Internals_h
#define Internals_h

#include "vtkDRRAlgorithm.h"

#include "vtkDoubleArray.h"
#include "vtkNew.h"
#include "vtkStringArray.h"

#include <drr.hpp>

#include <map>
#include <string>
#include <vector>

struct vtkDRRAlgorithm::Internals {
    drr::Model model;
    drr::Sampler sampler;

    // The file as it was when it was tried.
    std::string name;
    long long modified = 0;
    unsigned long long bytes = 0;
    int threads = 0;
    std::string problem; // why it could not be opened

    std::vector<double> indexed;
    std::map<std::string, double> named;
    std::vector<double> bound; // what the sampler was made for

    vtkNew<vtkStringArray> parameter_names, parameter_units, time_parameters;
    vtkNew<vtkStringArray> value_names, value_units;
    vtkNew<vtkDoubleArray> parameter_ranges, value_ranges, domain;

    /// Arrays of what is in the model, or empty ones.
    void describe();
};

#endif

#include "vtkDRRAlgorithm.h"

#include "Internals.h"

#include "vtkFieldData.h"
#include "vtkMultiProcessController.h"
#include "vtkSMPTools.h"

#include <vtksys/SystemTools.hxx>

#include <cmath>
#include <limits>

vtkDRRAlgorithm::vtkDRRAlgorithm() : Internal(new Internals) {}

vtkDRRAlgorithm::~vtkDRRAlgorithm() {
    this->SetFileName(nullptr);
    this->SetTimeParameter(nullptr);
}

void vtkDRRAlgorithm::PrintSelf(ostream &os, vtkIndent indent) {
    this->Superclass::PrintSelf(os, indent);
    os << indent << "FileName: " << (this->FileName ? this->FileName : "(none)") << "\n";
    os << indent << "TimeParameter: " << (this->TimeParameter ? this->TimeParameter : "None")
       << "\n";
    os << indent << "Association: " << (this->Association == CELLS ? "cells" : "points") << "\n";
    os << indent << "Vector: " << this->Vector << "\n";
    os << indent << "Gradient: " << this->Gradient << "\n";
    os << indent << "Sensitivities: " << this->Sensitivities << "\n";
    os << indent << "Threads: " << this->Threads << "\n";
    os << indent << "QuerySeconds: " << this->QuerySeconds << "\n";
}

int vtkDRRAlgorithm::CanReadFile(const char *name) {
    if (!name)
        return 0;
    drr_open_options options{};
    options.struct_size = sizeof options;
    options.checksums = DRR_CHECKSUMS_SKIP;
    drr_model *model = nullptr;
    const bool can = drr_model_open(name, &options, &model) == DRR_OK;
    drr_model_close(model);
    return can;
}

void vtkDRRAlgorithm::SetParameter(int index, double value) {
    std::vector<double> &indexed = this->Internal->indexed;
    // No model has as many; a wrong number must not take the memory.
    if (index < 0 || index >= 65536) {
        vtkErrorMacro("parameter " << index << ": expected an index from 0");
        return;
    }
    const auto place = static_cast<std::size_t>(index);
    if (place >= indexed.size())
        indexed.resize(place + 1, std::numeric_limits<double>::quiet_NaN());
    if (indexed[place] != value) {
        indexed[place] = value;
        this->Modified();
    }
}

void vtkDRRAlgorithm::SetParameterByName(const char *name, double value) {
    if (!name) {
        vtkErrorMacro("SetParameterByName: expected a name, got NULL");
        return;
    }
    const auto [place, is_new] = this->Internal->named.emplace(name, value);
    if (is_new || place->second != value) {
        place->second = value;
        this->Modified();
    }
}

void vtkDRRAlgorithm::ClearParameters() {
    Internals &own = *this->Internal;
    if (own.indexed.empty() && own.named.empty())
        return;
    own.indexed.clear();
    own.named.clear();
    this->Modified();
}

bool vtkDRRAlgorithm::TryOpen(std::string &problem) {
    Internals &own = *this->Internal;
    const std::string name = this->FileName ? this->FileName : "";
    int threads = this->Threads;
    if (threads == 0) {
        vtkMultiProcessController *ranks = vtkMultiProcessController::GetGlobalController();
        const bool is_alone = !ranks || ranks->GetNumberOfProcesses() == 1;
        threads = is_alone ? vtkSMPTools::GetEstimatedNumberOfThreads() : 1;
    }
    const long long modified = vtksys::SystemTools::ModifiedTime(name);
    const unsigned long long bytes = vtksys::SystemTools::FileLength(name);
    const bool is_same = name == own.name && modified == own.modified && bytes == own.bytes &&
                         threads == own.threads;
    if (!is_same) {
        own.name = name;
        own.modified = modified;
        own.bytes = bytes;
        own.threads = threads;
        own.sampler.close();
        own.model.close();
        own.problem.clear();
        try {
            if (name.empty())
                throw drr::Error(drr::Status::invalid_argument,
                                 "no FileName was set: expected a *.drr.safetensors file");
            drr::OpenOptions options;
            options.threads = static_cast<std::uint32_t>(threads);
            own.model = drr::Model::open(name, options);
        } catch (const std::exception &error) {
            own.problem = error.what();
        }
        own.describe();
    }
    problem = own.problem;
    return problem.empty();
}

bool vtkDRRAlgorithm::Open() {
    std::string problem;
    if (this->TryOpen(problem))
        return true;
    vtkErrorMacro(<< problem);
    return false;
}

void vtkDRRAlgorithm::Internals::describe() {
    for (vtkStringArray *names :
         {this->parameter_names.Get(), this->parameter_units.Get(), this->time_parameters.Get(),
          this->value_names.Get(), this->value_units.Get()})
        names->SetNumberOfValues(0);
    for (vtkDoubleArray *ranges :
         {this->parameter_ranges.Get(), this->value_ranges.Get(), this->domain.Get()})
        ranges->SetNumberOfValues(0);
    this->time_parameters->InsertNextValue("None");
    const drr::Info &info = this->model.info();
    for (std::uint32_t k = 0; k < info.parameters; k++) {
        const drr::Range parameter = this->model.parameter(k);
        this->parameter_names->InsertNextValue(std::string(parameter.name));
        this->parameter_units->InsertNextValue(std::string(parameter.unit));
        this->time_parameters->InsertNextValue(std::string(parameter.name));
        this->parameter_ranges->InsertNextValue(parameter.min);
        this->parameter_ranges->InsertNextValue(parameter.max);
    }
    for (std::uint32_t k = 0; k < info.outputs; k++) {
        const drr::Range value = this->model.value(k);
        this->value_names->InsertNextValue(std::string(value.name));
        this->value_units->InsertNextValue(std::string(value.unit));
        this->value_ranges->InsertNextValue(value.min);
        this->value_ranges->InsertNextValue(value.max);
    }
    for (std::uint32_t k = 0; k < info.dims; k++) {
        const drr::Range axis = this->model.axis(k);
        this->domain->InsertNextValue(axis.min);
        this->domain->InsertNextValue(axis.max);
    }
}

// Questions about the file come before it is asked for values, which reports what is wrong.
#define DRR_DESCRIPTION(Type, Get, member)                                                         \
    Type *vtkDRRAlgorithm::Get() {                                                                 \
        std::string problem;                                                                       \
        this->TryOpen(problem);                                                                    \
        return this->Internal->member;                                                             \
    }
DRR_DESCRIPTION(vtkStringArray, GetParameterNames, parameter_names)
DRR_DESCRIPTION(vtkStringArray, GetParameterUnits, parameter_units)
DRR_DESCRIPTION(vtkDoubleArray, GetParameterRanges, parameter_ranges)
DRR_DESCRIPTION(vtkStringArray, GetTimeParameters, time_parameters)
DRR_DESCRIPTION(vtkStringArray, GetValueNames, value_names)
DRR_DESCRIPTION(vtkStringArray, GetValueUnits, value_units)
DRR_DESCRIPTION(vtkDoubleArray, GetValueRanges, value_ranges)
DRR_DESCRIPTION(vtkDoubleArray, GetDomain, domain)
#undef DRR_DESCRIPTION

namespace {

std::string list(vtkStringArray *names) {
    std::string text;
    for (vtkIdType k = 0; k < names->GetNumberOfValues(); k++)
        text += (k > 0 ? ", " : "") + names->GetValue(k);
    return text.empty() ? "none" : text;
}

} // namespace

int vtkDRRAlgorithm::TimeIndex() {
    const std::string name = this->TimeParameter ? this->TimeParameter : "";
    if (name.empty() || name == "None")
        return -1;
    vtkStringArray *names = this->Internal->parameter_names;
    if (const vtkIdType index = names->LookupValue(name); index >= 0)
        return static_cast<int>(index);
    vtkErrorMacro("TimeParameter is \"" << name
                                        << "\", the file has the parameters: " << list(names));
    return -2;
}

bool vtkDRRAlgorithm::Values(const double *time, double *values) {
    Internals &own = *this->Internal;
    vtkStringArray *names = own.parameter_names;
    const auto count = static_cast<std::size_t>(names->GetNumberOfValues());
    const int time_index = this->TimeIndex();
    if (time_index == -2)
        return false;
    if (!own.indexed.empty() && own.indexed.size() != count) {
        vtkErrorMacro("" << own.indexed.size() << " parameters were set, the file has " << count
                         << ": " << list(names));
        return false;
    }
    for (const auto &[name, value] : own.named) {
        if (names->LookupValue(name) < 0) {
            vtkErrorMacro("there is no parameter \"" << name
                                                     << "\", the file has: " << list(names));
            return false;
        }
    }
    for (std::size_t k = 0; k < count; k++) {
        const std::string name = names->GetValue(static_cast<vtkIdType>(k));
        const double *range = own.parameter_ranges->GetPointer(static_cast<vtkIdType>(2 * k));
        const auto named = own.named.find(name);
        if (time && static_cast<int>(k) == time_index)
            values[k] = *time;
        else if (!own.indexed.empty())
            values[k] = own.indexed[k];
        else if (named != own.named.end())
            values[k] = named->second;
        else
            values[k] = range[0] + (range[1] - range[0]) / 2;
        if (std::isnan(values[k])) {
            vtkErrorMacro("parameter " << name << " was not set: expected a number from "
                                       << range[0] << " to " << range[1]);
            return false;
        }
    }
    return true;
}

bool vtkDRRAlgorithm::Bind(const double *time, unsigned outside) {
    if (!this->Open())
        return false;
    Internals &own = *this->Internal;
    own.bound.assign(own.model.info().parameters, 0);
    if (!this->Values(time, own.bound.data()))
        return false;
    try {
        drr::SamplerOptions options;
        options.outside = static_cast<drr::Outside>(outside);
        options.outside_parameters = drr::Outside::error;
        own.sampler = own.model.sampler(own.bound, options);
        return true;
    } catch (const std::exception &error) {
        vtkErrorMacro(<< error.what());
        return false;
    }
}

void vtkDRRAlgorithm::AddParameters(vtkFieldData *data) {
    const Internals &own = *this->Internal;
    for (std::size_t k = 0; k < own.bound.size(); k++) {
        const auto index = static_cast<vtkIdType>(k);
        vtkNew<vtkDoubleArray> array;
        array->SetName(own.parameter_names->GetValue(index).c_str());
        array->InsertNextValue(own.bound[k]);
        data->AddArray(array);
    }
}

#include "Results.h"

#include "vtkDataArray.h"
#include "vtkFieldData.h"
#include "vtkInformation.h"
#include "vtkInformationStringKey.h"

namespace drr_vtk {

namespace {

std::string text(std::string_view view) { return std::string(view); }

vtkSmartPointer<vtkFloatArray> array(const std::string &name, const std::string &unit,
                                     vtkIdType points, int components) {
    auto array = vtkSmartPointer<vtkFloatArray>::New();
    array->SetName(name.c_str());
    array->SetNumberOfComponents(components);
    array->SetNumberOfTuples(points);
    if (!unit.empty())
        array->GetInformation()->Set(vtkDataArray::UNITS_LABEL(), unit.c_str());
    return array;
}

std::string per(const drr::Range &value, const drr::Range &variable) {
    if (variable.unit.empty())
        return text(value.unit);
    return (value.unit.empty() ? "1" : text(value.unit)) + "/(" + text(variable.unit) + ")";
}

} // namespace

Results::Results(const drr::Model &model, vtkIdType points, const Wanted &wanted)
    : dims_(model.info().dims) {
    const drr::Info &info = model.info();
    for (std::uint32_t k = 0; k < info.outputs; k++) {
        const drr::Range value = model.value(k);
        const std::string name = wanted.prefix + text(value.name);
        values_.push_back(array(name, text(value.unit), points, 1));
        if (wanted.gradient) {
            auto gradient = array(name + "_gradient", per(value, model.axis(0)), points, 3);
            if (dims_ < 3)
                gradient->Fill(0);
            gradients_.push_back(gradient);
        }
        for (std::uint32_t p = 0; wanted.sensitivities && p < info.parameters; p++) {
            const drr::Range parameter = model.parameter(p);
            sensitivities_.push_back(
                array(name + "_by_" + text(parameter.name), per(value, parameter), points, 1));
        }
    }
    if (wanted.vector) {
        const int components = info.outputs == 2 ? 3 : static_cast<int>(info.outputs);
        vector_ = array(wanted.prefix + "values", "", points, components);
        for (std::uint32_t k = 0; k < info.outputs; k++)
            vector_->SetComponentName(k, text(model.value(k).name).c_str());
    }
}

Results::Places Results::places(vtkIdType first) const {
    Places places;
    for (const Array &value : values_)
        places.values.push_back(value->GetPointer(first));
    for (const Array &gradient : gradients_)
        for (std::size_t k = 0; k < dims_; k++)
            places.gradients.push_back(gradient->GetPointer(3 * first) + k);
    for (const Array &sensitivity : sensitivities_)
        places.sensitivities.push_back(sensitivity->GetPointer(first));
    return places;
}

template <class Input>
void Results::query(const drr::Sampler &sampler, const Input &input, vtkIdType first,
                    drr_status (*values_only)(const drr_sampler *, const Input *,
                                              const drr_values *),
                    drr_status (*with_gradients)(const drr_sampler *, const Input *,
                                                 const drr_values *, const drr_gradients *,
                                                 const drr_gradients *)) {
    const Places to = places(first);
    drr_values values{};
    values.struct_size = sizeof values;
    values.scalar = DRR_F32;
    values.separate = to.values.data();

    drr_gradients gradients{};
    gradients.struct_size = sizeof gradients;
    gradients.scalar = DRR_F32;
    gradients.point_stride = 3 * sizeof(float);
    gradients.separate = to.gradients.data();

    drr_gradients sensitivities = gradients;
    sensitivities.point_stride = sizeof(float);
    sensitivities.separate = to.sensitivities.data();

    const bool wants_gradients = !to.gradients.empty();
    const bool wants_sensitivities = !to.sensitivities.empty();
    const drr_status status =
        wants_gradients || wants_sensitivities
            ? with_gradients(sampler.get(), &input, &values, wants_gradients ? &gradients : nullptr,
                             wants_sensitivities ? &sensitivities : nullptr)
            : values_only(sampler.get(), &input, &values);
    if (status != DRR_OK)
        throw drr::Error(static_cast<drr::Status>(status), drr_last_error(), drr_last_os_error());
}

void Results::query(const drr::Sampler &sampler, const drr_lattice &lattice, vtkIdType first) {
    query(sampler, lattice, first, drr_sampler_query_lattice, drr_sampler_query_lattice_gradient);
}

void Results::query(const drr::Sampler &sampler, const double *points, vtkIdType count,
                    vtkIdType first) {
    drr_points from{};
    from.struct_size = sizeof from;
    from.scalar = DRR_F64;
    from.count = static_cast<std::uint64_t>(count);
    for (std::size_t k = 0; k < 3; k++) {
        from.axis[k] = points + k;
        from.stride[k] = 3 * sizeof(double);
    }
    query(sampler, from, first, drr_sampler_query, drr_sampler_query_gradient);
}

void Results::add_to(vtkFieldData *data) {
    if (vector_) {
        if (vector_->GetNumberOfComponents() > static_cast<int>(values_.size()))
            vector_->Fill(0);
        for (std::size_t k = 0; k < values_.size(); k++)
            vector_->CopyComponent(static_cast<int>(k), values_[k], 0);
    }
    for (const std::vector<Array> *arrays : {&values_, &gradients_, &sensitivities_})
        for (const Array &one : *arrays)
            data->AddArray(one);
    if (vector_)
        data->AddArray(vector_);
}

} // namespace drr_vtk

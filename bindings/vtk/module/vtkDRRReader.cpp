#include "vtkDRRReader.h"

#include "Internals.h"
#include "Results.h"

#include "vtkCellData.h"
#include "vtkDataObject.h"
#include "vtkFieldData.h"
#include "vtkImageData.h"
#include "vtkInformation.h"
#include "vtkInformationVector.h"
#include "vtkObjectFactory.h"
#include "vtkPointData.h"
#include "vtkStreamingDemandDrivenPipeline.h"
#include "vtkTimerLog.h"

#include <algorithm>
#include <array>
#include <climits>

vtkStandardNewMacro(vtkDRRReader);

/// Where the points of the whole image are.
struct vtkDRRReader::Image {
    std::array<int, 6> extent{};
    std::array<double, 3> origin{};
    std::array<double, 3> spacing{1, 1, 1};
};

vtkDRRReader::vtkDRRReader() { this->SetNumberOfOutputPorts(1); }

void vtkDRRReader::PrintSelf(ostream &os, vtkIndent indent) {
    this->Superclass::PrintSelf(os, indent);
    const auto print = [&](const char *name, const int *numbers, int count) {
        os << indent << name << ":";
        for (int k = 0; k < count; k++)
            os << " " << numbers[k];
        os << "\n";
    };
    print("Dimensions", this->Dimensions, 3);
    print("SubExtent", this->SubExtent, 6);
    const int interactive = this->Interactive;
    print("Interactive", &interactive, 1);
    print("InteractiveReduction", &this->InteractiveReduction, 1);
    print("TimeSteps", &this->TimeSteps, 1);
}

vtkImageData *vtkDRRReader::GetOutput() {
    return vtkImageData::SafeDownCast(this->GetOutputDataObject(0));
}

int vtkDRRReader::FillOutputPortInformation(int, vtkInformation *info) {
    info->Set(vtkDataObject::DATA_TYPE_NAME(), "vtkImageData");
    return 1;
}

vtkTypeBool vtkDRRReader::ProcessRequest(vtkInformation *request, vtkInformationVector **inputs,
                                         vtkInformationVector *outputs) {
    vtkInformation *out = outputs->GetInformationObject(0);
    if (request->Has(vtkDemandDrivenPipeline::REQUEST_INFORMATION()))
        return this->RequestInformation(out);
    if (request->Has(vtkDemandDrivenPipeline::REQUEST_DATA()))
        return this->RequestData(out);
    return this->Superclass::ProcessRequest(request, inputs, outputs);
}

int vtkDRRReader::Coarse(int points) const {
    if (!this->Interactive || this->InteractiveReduction < 2 || points <= 2)
        return points;
    return std::max(2, (points - 1) / this->InteractiveReduction + 1);
}

bool vtkDRRReader::Whole(Image &image) {
    if (!this->Open())
        return false;
    const drr::Model &model = this->Internal->model;
    for (int k = 0; k < 3; k++) {
        const auto axis_index = static_cast<std::uint32_t>(k);
        const bool has_axis = axis_index < model.info().dims;
        const int points = has_axis ? this->Dimensions[k] : 1;
        if (points < 1 || points > INT_MAX / 2) {
            vtkErrorMacro("Dimensions["
                          << k << "] is " << points
                          << ": expected the number of points along the axis, from 1");
            return false;
        }
        const int coarse = this->Coarse(points);
        const drr::Range axis = has_axis ? model.axis(axis_index) : drr::Range{};
        const double length = axis.max - axis.min;
        image.origin[k] = points > 1 ? axis.min : axis.min + length / 2;
        // A single point has a neighbour nowhere; its spacing is for those who divide by it.
        image.spacing[k] = length > 0 ? length / std::max(coarse - 1, 1) : 1;
        int first = 0, last = points - 1;
        const int *wanted = this->SubExtent + 2 * k;
        if (wanted[0] <= wanted[1] && has_axis) {
            first = std::max(first, wanted[0]);
            last = std::min(last, wanted[1]);
        }
        if (first > last) {
            vtkErrorMacro("SubExtent is " << wanted[0] << " to " << wanted[1] << " along axis " << k
                                          << ": expected a part of 0 to " << points - 1);
            return false;
        }
        // What was asked for is in there, though maybe some more.
        const long long steps = std::max(points - 1, 1), coarse_steps = coarse - 1;
        image.extent[2 * k] = static_cast<int>(first * coarse_steps / steps);
        image.extent[2 * k + 1] = static_cast<int>((last * coarse_steps + steps - 1) / steps);
    }
    return true;
}

int vtkDRRReader::RequestInformation(vtkInformation *out) {
    using Pipeline = vtkStreamingDemandDrivenPipeline;
    out->Remove(Pipeline::TIME_STEPS());
    out->Remove(Pipeline::TIME_RANGE());
    Image image;
    if (!this->Whole(image))
        return 0;
    out->Set(Pipeline::WHOLE_EXTENT(), image.extent.data(), 6);
    out->Set(vtkDataObject::ORIGIN(), image.origin.data(), 3);
    out->Set(vtkDataObject::SPACING(), image.spacing.data(), 3);
    out->Set(vtkAlgorithm::CAN_PRODUCE_SUB_EXTENT(), 1);

    const int time = this->TimeIndex();
    if (time == -2)
        return 0;
    if (time >= 0) {
        const double *range = this->Internal->parameter_ranges->GetPointer(2 * time);
        std::vector<double> steps(static_cast<std::size_t>(this->TimeSteps), range[0]);
        const auto last = static_cast<double>(steps.size() - 1);
        for (std::size_t n = 1; n < steps.size(); n++)
            steps[n] = range[0] + (range[1] - range[0]) * (static_cast<double>(n) / last);
        out->Set(Pipeline::TIME_STEPS(), steps.data(), this->TimeSteps);
        out->Set(Pipeline::TIME_RANGE(), range, 2);
    }
    return 1;
}

int vtkDRRReader::RequestData(vtkInformation *out) {
    using Pipeline = vtkStreamingDemandDrivenPipeline;
    vtkImageData *output = vtkImageData::SafeDownCast(out->Get(vtkDataObject::DATA_OBJECT()));
    output->Initialize();
    this->QuerySeconds = 0;
    const double *time = nullptr;
    double time_value = 0;
    if (out->Has(Pipeline::UPDATE_TIME_STEP()) && this->TimeIndex() >= 0) {
        time_value = out->Get(Pipeline::UPDATE_TIME_STEP());
        // Other sources of a scene may be asked for times beyond this one's: its ends are kept
        // then, as of any file with time steps.
        const double *range = this->Internal->parameter_ranges->GetPointer(2 * this->TimeIndex());
        time_value = std::min(std::max(time_value, range[0]), range[1]);
        time = &time_value;
    }
    Image image;
    if (!this->Whole(image) || !this->Bind(time, DRR_OUTSIDE_CLAMP))
        return 0;
    // What is asked for may lie beyond the image, or be nothing.
    const int *update = out->Get(Pipeline::UPDATE_EXTENT());
    for (int k = 0; k < 3 && update; k++) {
        image.extent[2 * k] = std::max(image.extent[2 * k], update[2 * k]);
        image.extent[2 * k + 1] = std::min(image.extent[2 * k + 1], update[2 * k + 1]);
    }
    output->SetOrigin(image.origin.data());
    output->SetSpacing(image.spacing.data());
    for (int k = 0; k < 3; k++)
        if (image.extent[2 * k] > image.extent[2 * k + 1])
            return 1;
    output->SetExtent(image.extent.data());
    if (time)
        output->GetInformation()->Set(vtkDataObject::DATA_TIME_STEP(), *time);
    try {
        if (this->Fill(image, output))
            return 1;
    } catch (const std::exception &error) {
        vtkErrorMacro(<< error.what());
        output->Initialize();
        return 0;
    }
    output->Initialize(); // stopped half way
    return 1;
}

bool vtkDRRReader::Fill(const Image &image, vtkImageData *output) {
    const Internals &own = *this->Internal;
    const bool is_cells = this->Association == CELLS;
    drr_lattice lattice{};
    lattice.struct_size = sizeof lattice;
    for (int k = 0; k < 3; k++) {
        const int points = image.extent[2 * k + 1] - image.extent[2 * k] + 1;
        // Cells of an image that is flat along an axis lie in its plane.
        const bool is_between = is_cells && points > 1;
        lattice.dims[k] = static_cast<std::uint64_t>(is_between ? points - 1 : points);
        lattice.origin[k] =
            image.origin[k] + (image.extent[2 * k] + (is_between ? 0.5 : 0.0)) * image.spacing[k];
        lattice.spacing[k] = image.spacing[k];
    }
    const auto row = static_cast<vtkIdType>(lattice.dims[0]);
    const auto rows = static_cast<vtkIdType>(lattice.dims[1]);
    const auto planes = static_cast<vtkIdType>(lattice.dims[2]);
    drr_vtk::Results results(own.model, row * rows * planes,
                             {this->Vector, this->Gradient, this->Sensitivities, ""});

    // Some planes at a time, so that there is progress to show and a chance to stop.
    const double start = vtkTimerLog::GetUniversalTime();
    const vtkIdType step = std::max<vtkIdType>(1, planes / 20);
    const double first = lattice.origin[2];
    for (vtkIdType plane = 0; plane < planes; plane += step) {
        this->UpdateProgress(static_cast<double>(plane) / static_cast<double>(planes));
        if (this->GetAbortExecute())
            return false;
        lattice.dims[2] = static_cast<std::uint64_t>(std::min(step, planes - plane));
        lattice.origin[2] = first + static_cast<double>(plane) * lattice.spacing[2];
        results.query(own.sampler, lattice, plane * row * rows);
    }
    this->QuerySeconds = vtkTimerLog::GetUniversalTime() - start;

    vtkDataSetAttributes *data = output->GetPointData();
    if (is_cells)
        data = output->GetCellData();
    results.add_to(data);
    data->SetActiveScalars(results.value(0)->GetName());
    this->AddParameters(output->GetFieldData());
    return true;
}

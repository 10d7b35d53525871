#include "vtkDRRProbe.h"

#include "Internals.h"
#include "Results.h"

#include "vtkCellCenters.h"
#include "vtkCellData.h"
#include "vtkDataSet.h"
#include "vtkInformation.h"
#include "vtkInformationVector.h"
#include "vtkObjectFactory.h"
#include "vtkPointData.h"
#include "vtkStreamingDemandDrivenPipeline.h"
#include "vtkTimerLog.h"
#include "vtkUnsignedCharArray.h"

#include <algorithm>
#include <cmath>

vtkStandardNewMacro(vtkDRRProbe);

vtkDRRProbe::vtkDRRProbe() {
    this->SetNumberOfInputPorts(1);
    this->SetNumberOfOutputPorts(1);
    this->SetPrefix("drr_");
}

vtkDRRProbe::~vtkDRRProbe() {
    this->SetPrefix(nullptr);
    this->SetTrueArray(nullptr);
}

void vtkDRRProbe::PrintSelf(ostream &os, vtkIndent indent) {
    this->Superclass::PrintSelf(os, indent);
    os << indent << "Outside: " << this->Outside << "\n";
    os << indent << "Prefix: " << (this->Prefix ? this->Prefix : "") << "\n";
    os << indent << "TrueArray: " << (this->TrueArray ? this->TrueArray : "") << "\n";
}

vtkDataSet *vtkDRRProbe::GetOutput() {
    return vtkDataSet::SafeDownCast(this->GetOutputDataObject(0));
}

void vtkDRRProbe::SetInputData(vtkDataObject *mesh) { this->SetInputDataInternal(0, mesh); }

int vtkDRRProbe::FillInputPortInformation(int, vtkInformation *info) {
    info->Set(vtkAlgorithm::INPUT_REQUIRED_DATA_TYPE(), "vtkDataSet");
    return 1;
}

int vtkDRRProbe::FillOutputPortInformation(int, vtkInformation *info) {
    info->Set(vtkDataObject::DATA_TYPE_NAME(), "vtkDataSet");
    return 1;
}

vtkTypeBool vtkDRRProbe::ProcessRequest(vtkInformation *request, vtkInformationVector **inputs,
                                        vtkInformationVector *outputs) {
    vtkInformation *in = inputs[0]->GetInformationObject(0);
    vtkInformation *out = outputs->GetInformationObject(0);
    if (request->Has(vtkDemandDrivenPipeline::REQUEST_DATA_OBJECT()))
        return this->RequestDataObject(in, out);
    if (request->Has(vtkDemandDrivenPipeline::REQUEST_DATA()))
        return this->RequestData(vtkDataSet::GetData(in), vtkDataSet::GetData(out));
    return this->Superclass::ProcessRequest(request, inputs, outputs);
}

int vtkDRRProbe::RequestDataObject(vtkInformation *in, vtkInformation *out) {
    vtkDataSet *input = in ? vtkDataSet::GetData(in) : nullptr;
    if (!input)
        return 0;
    vtkDataSet *output = vtkDataSet::GetData(out);
    if (!output || !output->IsA(input->GetClassName())) {
        const vtkSmartPointer<vtkDataSet> same(vtk::TakeSmartPointer(input->NewInstance()));
        out->Set(vtkDataObject::DATA_OBJECT(), same);
    }
    return 1;
}

int vtkDRRProbe::RequestData(vtkDataSet *input, vtkDataSet *output) {
    this->QuerySeconds = 0;
    output->ShallowCopy(input);
    vtkInformation *about = input->GetInformation();
    const bool has_time = about->Has(vtkDataObject::DATA_TIME_STEP()) != 0;
    const double time = has_time ? about->Get(vtkDataObject::DATA_TIME_STEP()) : 0;
    bool is_done = false;
    if (this->Bind(has_time ? &time : nullptr, static_cast<unsigned>(this->Outside))) {
        try {
            is_done = this->Fill(input, output);
        } catch (const std::exception &error) {
            vtkErrorMacro(<< error.what());
        }
    }
    if (!is_done)
        output->Initialize();
    return is_done || this->GetAbortExecute();
}

bool vtkDRRProbe::Fill(vtkDataSet *input, vtkDataSet *output) {
    const bool is_cells = this->Association == CELLS;
    const vtkIdType count = is_cells ? input->GetNumberOfCells() : input->GetNumberOfPoints();
    drr_vtk::Results results(
        this->Internal->model, count,
        {this->Vector, this->Gradient, this->Sensitivities, this->Prefix ? this->Prefix : ""});
    if (count > 0) {
        this->WarnIfOutside(input);
        if (!this->Query(input, results, count))
            return false;
    }
    vtkDataSetAttributes *to = output->GetPointData(), *from = input->GetPointData();
    if (is_cells) {
        to = output->GetCellData();
        from = input->GetCellData();
    }
    results.add_to(to);
    this->AddParameters(output->GetFieldData());
    return this->Compare(from, results, output);
}

bool vtkDRRProbe::Query(vtkDataSet *input, drr_vtk::Results &results, vtkIdType count) {
    vtkNew<vtkDoubleArray> centers;
    if (this->Association == CELLS) {
        centers->SetNumberOfComponents(3);
        centers->SetNumberOfTuples(count);
        vtkCellCenters::ComputeCellCenters(input, centers);
    }
    // Meshes may have no array of coordinates at all: so many are made at a time.
    const vtkIdType step = 1 << 16;
    std::vector<double> points;
    for (vtkIdType first = 0; first < count; first += step) {
        this->UpdateProgress(static_cast<double>(first) / static_cast<double>(count));
        if (this->GetAbortExecute())
            return false;
        const vtkIdType some = std::min(step, count - first);
        const double *from = nullptr;
        if (this->Association == CELLS) {
            from = centers->GetPointer(3 * first);
        } else {
            points.resize(static_cast<std::size_t>(3 * some));
            for (vtkIdType n = 0; n < some; n++)
                input->GetPoint(first + n, points.data() + 3 * n);
            from = points.data();
        }
        const double start = vtkTimerLog::GetUniversalTime();
        results.query(this->Internal->sampler, from, some, first);
        this->QuerySeconds += vtkTimerLog::GetUniversalTime() - start;
    }
    return true;
}

void vtkDRRProbe::WarnIfOutside(vtkDataSet *input) {
    const drr::Model &model = this->Internal->model;
    double bounds[6];
    input->GetBounds(bounds);
    for (std::uint32_t k = 0; k < model.info().dims; k++) {
        const drr::Range axis = model.axis(k);
        const double low = bounds[2 * k], high = bounds[2 * k + 1];
        if (high < axis.min || low > axis.max) {
            vtkWarningMacro("the whole mesh is outside of the domain: its "
                            << std::string(axis.name) << " is " << low << " to " << high
                            << ", that of the file " << axis.min << " to " << axis.max << " "
                            << std::string(axis.unit) << ". Are its coordinates in the same unit?");
            return;
        }
    }
}

namespace {

void add_number(vtkFieldData *data, const std::string &name, double number) {
    vtkNew<vtkDoubleArray> array;
    array->SetName(name.c_str());
    array->InsertNextValue(number);
    data->AddArray(array);
}

} // namespace

bool vtkDRRProbe::Compare(vtkDataSetAttributes *truth, const drr_vtk::Results &results,
                          vtkDataSet *output) {
    const std::string wanted = this->TrueArray ? this->TrueArray : "";
    const std::string prefix = this->Prefix ? this->Prefix : "";
    const drr::Model &model = this->Internal->model;
    auto *ghosts =
        vtkUnsignedCharArray::SafeDownCast(truth->GetArray(vtkDataSetAttributes::GhostArrayName()));
    const int elsewhere =
        this->Association == CELLS
            ? vtkDataSetAttributes::DUPLICATECELL | vtkDataSetAttributes::HIDDENCELL
            : vtkDataSetAttributes::DUPLICATEPOINT | vtkDataSetAttributes::HIDDENPOINT;
    for (std::size_t k = 0; k < results.outputs(); k++) {
        const std::string name(model.value(static_cast<std::uint32_t>(k)).name);
        const bool is_named = k == 0 && !wanted.empty();
        vtkDataArray *exact = truth->GetArray((is_named ? wanted : name).c_str());
        if (is_named && (!exact || exact->GetNumberOfComponents() != 1)) {
            vtkErrorMacro("TrueArray is \"" << wanted << "\": the input has no array of this name "
                                            << "with one component at its "
                                            << (this->Association == CELLS ? "cells" : "points"));
            return false;
        }
        if (!exact || exact->GetNumberOfComponents() != 1)
            continue;
        vtkFloatArray *value = results.value(k);
        vtkNew<vtkFloatArray> error;
        error->SetName((prefix + name + "_error").c_str());
        error->SetNumberOfTuples(value->GetNumberOfTuples());
        double sum = 0, counted = 0;
        for (vtkIdType n = 0; n < value->GetNumberOfTuples(); n++) {
            const double difference = value->GetValue(n) - exact->GetTuple1(n);
            error->SetValue(n, static_cast<float>(difference));
            if (std::isfinite(difference) && !(ghosts && ghosts->GetValue(n) & elsewhere)) {
                sum += difference * difference;
                counted++;
            }
        }
        vtkDataSetAttributes *data = output->GetPointData();
        if (this->Association == CELLS)
            data = output->GetCellData();
        data->AddArray(error);
        const double rms = counted > 0 ? std::sqrt(sum / counted) : NAN;
        add_number(output->GetFieldData(), prefix + name + "_error_rms", rms);
        add_number(output->GetFieldData(), prefix + name + "_error_count", counted);
    }
    return true;
}

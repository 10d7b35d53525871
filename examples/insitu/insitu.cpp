#include "insitu.h"

#include <Python.h>
#include <mpi.h>
#include <vtkCPDataDescription.h>
#include <vtkCPInputDataDescription.h>
#include <vtkCPProcessor.h>
#include <vtkCPPythonPipeline.h>
#include <vtkCellData.h>
#include <vtkDoubleArray.h>
#include <vtkFieldData.h>
#include <vtkImageData.h>
#include <vtkInformation.h>
#include <vtkMPI.h>
#include <vtkNew.h>
#include <vtkObjectFactory.h>
#include <vtkOutputWindow.h>
#include <vtkSmartPointer.h>
#include <vtkStringArray.h>
#include <vtkUnsignedCharArray.h>

#include <algorithm>
#include <array>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

namespace {

const char *const CHANNEL = "input";

std::string problem;

/// An error of VTK's without its first line, where it is in VTK's sources, and ends of lines.
std::string without_place(const std::string &text) {
    const std::size_t first = text.find('\n') + 1, last = text.find_last_not_of(" \n");
    return text.substr(first, last + 1 - std::min(first, last + 1));
}

/// Takes what VTK has to say of errors, so that it can be the reason of a failure. Other text goes
/// where it went. On ranks but the first ParaView sends Python's messages here in pieces, its own
/// log among them: they are dropped.
class Messages : public vtkOutputWindow {
  public:
    static Messages *New();
    vtkTypeMacro(Messages, vtkOutputWindow);

    void DisplayText(const char *text) override {
        const bool is_error = std::string(text).rfind("ERROR: In ", 0) == 0;
        if (is_error && this->first.empty())
            this->first = without_place(text);
        else if (!is_error && this->is_loud)
            this->Superclass::DisplayText(text);
    }

    /// What the others follow from.
    std::string first;
    bool is_loud = true;

  protected:
    Messages() = default;
};

vtkStandardNewMacro(Messages);

} // namespace

struct insitu {
    MPI_Comm ranks = MPI_COMM_NULL;
    vtkNew<Messages> messages;
    vtkNew<vtkCPProcessor> catalyst;
    vtkNew<vtkImageData> cells;
    std::array<int, 6> whole{};

    insitu(int communicator, const std::string &script);
    ~insitu();
    void set_box(const int total[3], const int first[3], const int count[3], int ghosts,
                 const double corner[3], double width);
    void set_field(const char *name, const double *values);
    void show(long long step, double time);

  private:
    [[noreturn]] void fail(const std::string &what);
};

namespace {

/// 0 if this works on all ranks.
template <class Do> int on_all(MPI_Comm ranks, const Do &work) {
    problem.clear();
    bool failed = false;
    try {
        work();
    } catch (const std::exception &error) {
        problem = error.what();
        failed = true;
    }
    int rank = 0, size = 0;
    MPI_Comm_rank(ranks, &rank);
    MPI_Comm_size(ranks, &size);
    int first = failed ? rank : size;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, ranks);
    if (first == size)
        return 0;
    // All have the reason of the first rank that has one.
    int length = static_cast<int>(problem.size());
    MPI_Bcast(&length, 1, MPI_INT, first, ranks);
    problem.resize(static_cast<std::size_t>(length));
    MPI_Bcast(problem.data(), length, MPI_CHAR, first, ranks);
    return 1;
}

/// What the latest exception says that Python reported, which is forgotten then.
std::string last_exception() {
    if (!Py_IsInitialized())
        return "";
    const PyGILState_STATE state = PyGILState_Ensure();
    std::string text;
    if (PyObject *value = PySys_GetObject("last_value")) {
        if (PyObject *words = PyObject_Str(value)) {
            const char *utf8 = PyUnicode_AsUTF8(words);
            text = utf8 ? utf8 : "";
            Py_DECREF(words);
        }
        PySys_SetObject("last_value", nullptr);
    }
    PyErr_Clear();
    PyGILState_Release(state);
    return text;
}

template <class Do> int on_all(insitu *self, const Do &work) {
    if (self)
        return on_all(self->ranks, work);
    problem = "nothing was begun: insitu_begin comes first";
    return 1;
}

void add(vtkFieldData *to, vtkAbstractArray *array, const char *name) {
    array->SetName(name);
    to->AddArray(array);
}

} // namespace

insitu::insitu(int communicator, const std::string &script) : ranks(MPI_Comm_f2c(communicator)) {
    if (!std::ifstream(script))
        throw std::runtime_error("the script " + script + " cannot be read");
    vtkMPICommunicatorOpaqueComm opaque(&this->ranks);
    if (!this->catalyst->Initialize(opaque))
        this->fail("ParaView did not start");
    int rank = 0;
    MPI_Comm_rank(this->ranks, &rank);
    this->messages->is_loud = rank == 0;
    vtkOutputWindow::SetInstance(this->messages);
    const auto pipeline = vtkCPPythonPipeline::CreateAndInitializePipeline(script.c_str(), 2);
    if (!pipeline || !this->catalyst->AddPipeline(pipeline))
        this->fail("ParaView does not accept the script " + script);
}

insitu::~insitu() {
    this->catalyst->Finalize();
    vtkOutputWindow::SetInstance(nullptr);
}

void insitu::fail(const std::string &what) {
    std::string reason = what;
    for (const std::string &part : {last_exception(), this->messages->first})
        reason += part.empty() ? "" : ": " + part;
    throw std::runtime_error(reason);
}

void insitu::set_box(const int total[3], const int first[3], const int count[3], int ghosts,
                     const double corner[3], double width) {
    std::array<int, 6> extent{};
    std::array<double, 3> origin{};
    for (int k = 0; k < 3; k++) {
        if (ghosts < 0 || first[k] < 0 || count[k] < 1 || first[k] + count[k] > total[k])
            throw std::runtime_error("along axis " + std::to_string(k) + " the block has " +
                                     std::to_string(count[k]) + " cells after the first " +
                                     std::to_string(first[k]) + " of " + std::to_string(total[k]) +
                                     ": expected a part of these");
        extent[2 * k] = first[k] - ghosts;
        extent[2 * k + 1] = first[k] + count[k] + ghosts;
        this->whole[2 * k] = -ghosts;
        this->whole[2 * k + 1] = total[k] + ghosts;
        origin[k] = corner[k];
    }
    this->cells->Initialize();
    this->cells->SetExtent(extent.data());
    this->cells->SetOrigin(origin.data());
    this->cells->SetSpacing(width, width, width);

    // Filters and pictures leave out what other ranks have, and what nobody has.
    vtkNew<vtkUnsignedCharArray> ghost;
    ghost->SetNumberOfTuples(this->cells->GetNumberOfCells());
    vtkIdType n = 0;
    for (int z = extent[4]; z < extent[5]; z++)
        for (int y = extent[2]; y < extent[3]; y++)
            for (int x = extent[0]; x < extent[1]; x++) {
                const std::array<int, 3> at{x, y, z};
                unsigned char kind = 0;
                for (int k = 0; k < 3; k++) {
                    if (at[k] < first[k] || at[k] >= first[k] + count[k])
                        kind |= vtkDataSetAttributes::DUPLICATECELL;
                    if (at[k] < 0 || at[k] >= total[k])
                        kind |= vtkDataSetAttributes::HIDDENCELL;
                }
                ghost->SetValue(n++, kind);
            }
    add(this->cells->GetCellData(), ghost, vtkDataSetAttributes::GhostArrayName());
}

void insitu::set_field(const char *name, const double *values) {
    if (!values)
        throw std::runtime_error(std::string("field ") + name + ": there are no values");
    if (this->cells->GetNumberOfCells() == 0)
        throw std::runtime_error(std::string("field ") + name + ": insitu_set_box comes before it");
    vtkNew<vtkDoubleArray> array;
    // The array is the simulation's, which keeps it; nothing here writes to it.
    array->SetArray(const_cast<double *>(values), this->cells->GetNumberOfCells(), 1);
    add(this->cells->GetCellData(), array, name);
}

void insitu::show(long long step, double time) {
    vtkNew<vtkCPDataDescription> description;
    description->AddInput(CHANNEL);
    description->SetTimeData(time, step);
    description->ForceOutputOn();
    if (!this->catalyst->RequestDataDescription(description))
        this->fail("the script cannot be used");
    // What changed since the last time is inside of arrays, where VTK does not see it.
    for (int n = 0; n < this->cells->GetCellData()->GetNumberOfArrays(); n++)
        this->cells->GetCellData()->GetArray(n)->Modified();
    this->cells->Modified();
    this->cells->GetInformation()->Set(vtkDataObject::DATA_TIME_STEP(), time);
    vtkCPInputDataDescription *input = description->GetInputDescriptionByName(CHANNEL);
    input->SetGrid(this->cells);
    input->SetWholeExtent(this->whole.data());
    this->messages->first.clear();
    if (!this->catalyst->CoProcess(description) || !this->messages->first.empty())
        this->fail("the script failed");
}

int insitu_begin(int communicator, const char *script, insitu **made) {
    *made = nullptr;
    insitu *self = nullptr;
    const int failed =
        on_all(MPI_Comm_f2c(communicator), [&] { self = new insitu(communicator, script); });
    if (failed)
        delete self;
    else
        *made = self;
    return failed;
}

int insitu_set_text(insitu *self, const char *name, const char *text) {
    return on_all(self, [&] {
        vtkNew<vtkStringArray> array;
        array->InsertNextValue(text);
        add(self->cells->GetFieldData(), array, name);
    });
}

int insitu_set_number(insitu *self, const char *name, double number) {
    return on_all(self, [&] {
        vtkNew<vtkDoubleArray> array;
        array->InsertNextValue(number);
        add(self->cells->GetFieldData(), array, name);
    });
}

int insitu_set_box(insitu *self, const int total[3], const int first[3], const int cells[3],
                   int ghosts, const double corner[3], double width) {
    return on_all(self, [&] { self->set_box(total, first, cells, ghosts, corner, width); });
}

int insitu_set_field(insitu *self, const char *name, const double *values) {
    return on_all(self, [&] { self->set_field(name, values); });
}

int insitu_show(insitu *self, long long step, double time) {
    return on_all(self, [&] { self->show(step, time); });
}

void insitu_end(insitu *self) { delete self; }

const char *insitu_problem(void) { return problem.c_str(); }

/// A baked surrogate at the points or cells of any mesh: of a simulation, to compare with it.
///
/// The output is the input with arrays added, named as in the file with Prefix before: values as
/// 32-bit numbers, and the derivatives that were asked for. Coordinates are the file's physical
/// ones. A model of fewer axes reads the first coordinates of each point; NaN gives NaN.
///
/// Where the input has the true field, that is an array of one component with the name of a value
/// (or the one that TrueArray names), `<prefix><value>_error` is the surrogate minus the truth. The
/// field data `<prefix><value>_error_rms` has the root of its mean square over this piece's numbers
/// that are finite, and `<prefix><value>_error_count` how many these are: with both, pieces can be
/// put together. What is marked as a duplicate or as hidden counts nowhere.
///
/// If one parameter is time, it takes the time of the input.

#ifndef vtkDRRProbe_h
#define vtkDRRProbe_h

#include "vtkDRRAlgorithm.h"

class vtkDataObject;
class vtkDataSet;
class vtkDataSetAttributes;

namespace drr_vtk {
class Results;
}

class VTKDRR_EXPORT vtkDRRProbe : public vtkDRRAlgorithm {
  public:
    static vtkDRRProbe *New();
    vtkTypeMacro(vtkDRRProbe, vtkDRRAlgorithm);
    void PrintSelf(ostream &os, vtkIndent indent) override;

    vtkDataSet *GetOutput();

    /// A mesh that no filter makes.
    void SetInputData(vtkDataObject *mesh);

    enum Policies { CLAMP = 0, FADE = 1, BLANK = 2, FAIL = 3 };

    /// What a point outside of the domain gets: the value at the nearest border (0), features that
    /// fade out within a cell (1), NaN (2, the default), or none at all gets any and it is an error
    /// (3).
    vtkSetClampMacro(Outside, int, CLAMP, FAIL);
    vtkGetMacro(Outside, int);

    /// What the names of added arrays start with. `drr_`.
    vtkSetStringMacro(Prefix);
    vtkGetStringMacro(Prefix);

    /// The input's array to compare the file's first value with; empty for those that have the
    /// names of values.
    vtkSetStringMacro(TrueArray);
    vtkGetStringMacro(TrueArray);

    vtkTypeBool ProcessRequest(vtkInformation *request, vtkInformationVector **inputs,
                               vtkInformationVector *outputs) override;

  protected:
    vtkDRRProbe();
    ~vtkDRRProbe() override;
    int FillInputPortInformation(int port, vtkInformation *info) override;
    int FillOutputPortInformation(int port, vtkInformation *info) override;

    int RequestDataObject(vtkInformation *in, vtkInformation *out);
    int RequestData(vtkDataSet *input, vtkDataSet *output);

    int Outside = BLANK;
    char *Prefix = nullptr;
    char *TrueArray = nullptr;

  private:
    vtkDRRProbe(const vtkDRRProbe &) = delete;
    void operator=(const vtkDRRProbe &) = delete;

    bool Fill(vtkDataSet *input, vtkDataSet *output);
    bool Query(vtkDataSet *input, drr_vtk::Results &results, vtkIdType count);
    bool Compare(vtkDataSetAttributes *truth, const drr_vtk::Results &results, vtkDataSet *output);
    void WarnIfOutside(vtkDataSet *input);
};

#endif

/// What vtkDRRReader and vtkDRRProbe have in common: a baked file, simulation parameters, and which
/// arrays are wanted.
///
/// Parameters are in the file's units and order. Those that nobody set are in the middle of their
/// range; one outside of its range is an error, as a picture should not show something else than
/// what its title says. Failures are reported by vtkErrorMacro with the reason; the output is empty
/// then. As with all of VTK, an object belongs to one thread at a time; the queries use threads of
/// their own (see SetThreads).

#ifndef vtkDRRAlgorithm_h
#define vtkDRRAlgorithm_h

#include "vtkAlgorithm.h"
#include "vtkDRRModule.h" // VTKDRR_EXPORT

#include <memory> // std::unique_ptr
#include <string> // std::string

class vtkDoubleArray;
class vtkFieldData;
class vtkStringArray;

class VTKDRR_EXPORT vtkDRRAlgorithm : public vtkAlgorithm {
  public:
    vtkTypeMacro(vtkDRRAlgorithm, vtkAlgorithm);
    void PrintSelf(ostream &os, vtkIndent indent) override;

    /// The baked file, `*.drr.safetensors`. It is opened when it is first needed, and again when it
    /// has been replaced.
    vtkSetFilePathMacro(FileName);
    vtkGetFilePathMacro(FileName);

    /// Whether this is a baked file that can be used here: 1 or 0. Reads its header only.
    static int CanReadFile(const char *name);

    /// The value of one parameter, from 0, in the file's units. Either none or all are set so.
    void SetParameter(int index, double value);

    /// The value of a parameter by its name; SetParameter(int, double) goes before it.
    void SetParameterByName(const char *name, double value);

    /// Forgets what was set.
    void ClearParameters();

    /// The parameter that time stands for, by name; "None" (or empty) for none. Its own value is
    /// not used then.
    vtkSetStringMacro(TimeParameter);
    vtkGetStringMacro(TimeParameter);

    /// All values as the components of one array `values`, beside arrays of their own: as a vector
    /// for glyphs and stream lines. Two values get a third component, 0. Off.
    vtkSetMacro(Vector, bool);
    vtkGetMacro(Vector, bool);
    vtkBooleanMacro(Vector, bool);

    /// For each value an array `<value>_gradient`: its derivatives by x, y and z, in the value's
    /// unit per the axis' unit; 0 for axes that the model lacks. Off.
    vtkSetMacro(Gradient, bool);
    vtkGetMacro(Gradient, bool);
    vtkBooleanMacro(Gradient, bool);

    /// For each value and parameter an array `<value>_by_<parameter>`: the derivative. Off.
    vtkSetMacro(Sensitivities, bool);
    vtkGetMacro(Sensitivities, bool);
    vtkBooleanMacro(Sensitivities, bool);

    /// Threads that a query uses; 0, the default, for those that VTK may use, or one if there are
    /// several MPI ranks.
    vtkSetClampMacro(Threads, int, 0, 1024);
    vtkGetMacro(Threads, int);

    enum Places { POINTS = 0, CELLS = 1 };

    /// Whether values are those at points (0, the default) or at the centres of cells (1).
    vtkSetClampMacro(Association, int, POINTS, CELLS);
    vtkGetMacro(Association, int);

    /// What is in the file; empty if it cannot be opened. They belong to this object and change
    /// with the file. Ranges are `min, max` of each. The first of GetTimeParameters is "None".
    vtkStringArray *GetParameterNames();
    vtkStringArray *GetParameterUnits();
    vtkDoubleArray *GetParameterRanges();
    vtkStringArray *GetTimeParameters();
    vtkStringArray *GetValueNames();
    vtkStringArray *GetValueUnits();

    /// Least and greatest of each value in the training data.
    vtkDoubleArray *GetValueRanges();

    /// Bounds of the domain, `xmin, xmax, ymin, ...`, in the file's units.
    vtkDoubleArray *GetDomain();

    /// Seconds that the latest execution spent in the library's queries.
    vtkGetMacro(QuerySeconds, double);

  protected:
    vtkDRRAlgorithm();
    ~vtkDRRAlgorithm() override;

    struct Internals;

    /// Opens the file if need be. Without success the reason has been reported.
    bool Open();

    /// Binds the model to the parameters, with this time if one of them is time and there is one.
    /// Without success the reason has been reported.
    bool Bind(const double *time, unsigned outside);

    /// Writes down what the sampler was made for: an array per parameter, of one number.
    void AddParameters(vtkFieldData *data);

    /// Index of the parameter that is time, -1 without one, -2 if there is none of this name, which
    /// has been reported then.
    int TimeIndex();

    std::unique_ptr<Internals> Internal;
    char *FileName = nullptr;
    char *TimeParameter = nullptr;
    bool Vector = false;
    bool Gradient = false;
    bool Sensitivities = false;
    int Threads = 0;
    int Association = POINTS;
    double QuerySeconds = 0;

  private:
    vtkDRRAlgorithm(const vtkDRRAlgorithm &) = delete;
    void operator=(const vtkDRRAlgorithm &) = delete;

    /// What could not be opened is not tried again, nor reported for every question about it.
    bool TryOpen(std::string &problem);
    bool Values(const double *time, double *values);
};

#endif

/// A range of its own for each element of a property whose number of elements depends on the file.
///
/// In XML `DRRParametersDomain`, used as DoubleRangeDomain with a required property of the function
/// `Range`. That one gives a property that repeats its command one default value; this one gives it
/// as many as there are ranges: the middle of each.

#ifndef vtkSMDRRParametersDomain_h
#define vtkSMDRRParametersDomain_h

#include "vtkDRRParaViewModule.h" // VTKDRRPARAVIEW_EXPORT
#include "vtkSMDoubleRangeDomain.h"

class VTKDRRPARAVIEW_EXPORT vtkSMDRRParametersDomain : public vtkSMDoubleRangeDomain {
  public:
    static vtkSMDRRParametersDomain *New();
    vtkTypeMacro(vtkSMDRRParametersDomain, vtkSMDoubleRangeDomain);

    /// 1 if the property was set, 0 if no ranges are known.
    int SetDefaultValues(vtkSMProperty *property, bool use_unchecked_values) override;

  protected:
    vtkSMDRRParametersDomain() = default;
    ~vtkSMDRRParametersDomain() override = default;

  private:
    vtkSMDRRParametersDomain(const vtkSMDRRParametersDomain &) = delete;
    void operator=(const vtkSMDRRParametersDomain &) = delete;
};

#endif

#include "vtkSMDRRParametersDomain.h"

#include "vtkObjectFactory.h"
#include "vtkSMPropertyHelper.h"

#include <vector>

vtkStandardNewMacro(vtkSMDRRParametersDomain);

int vtkSMDRRParametersDomain::SetDefaultValues(vtkSMProperty *property, bool use_unchecked_values) {
    std::vector<double> values;
    for (unsigned k = 0; k < this->GetNumberOfEntries(); k++) {
        int has_min = 0, has_max = 0;
        const double min = this->GetMinimum(k, has_min), max = this->GetMaximum(k, has_max);
        if (!has_min || !has_max)
            return 0;
        values.push_back(min + (max - min) / 2);
    }
    if (values.empty())
        return 0;
    vtkSMPropertyHelper helper(property);
    helper.SetUseUnchecked(use_unchecked_values);
    helper.Set(values.data(), static_cast<unsigned>(values.size()));
    return 1;
}

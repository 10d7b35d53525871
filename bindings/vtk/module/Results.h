/// Arrays of values and derivatives of a model at many points, filled by its queries in place.

#ifndef Results_h
#define Results_h

#include "vtkFloatArray.h"
#include "vtkSmartPointer.h"

#include <drr.hpp>

#include <string>
#include <vector>

class vtkFieldData;

namespace drr_vtk {

/// Which arrays are wanted, and what their names start with.
struct Wanted {
    bool vector = false;
    bool gradient = false;
    bool sensitivities = false;
    std::string prefix;
};

class Results {
  public:
    /// Throws `std::bad_alloc` if there is no room.
    Results(const drr::Model &model, vtkIdType points, const Wanted &wanted);

    /// Fills the places from `first` on, one per point. Throws `drr::Error`.
    void query(const drr::Sampler &sampler, const drr_lattice &lattice, vtkIdType first);

    /// The same at points `[count][3]`; coordinates that the model lacks are not read.
    void query(const drr::Sampler &sampler, const double *points, vtkIdType count, vtkIdType first);

    /// Fills what is made of other arrays, and hands all of them over.
    void add_to(vtkFieldData *data);

    /// The values of one kind, from 0.
    vtkFloatArray *value(std::size_t index) const { return values_[index]; }

    /// Values per point.
    std::size_t outputs() const { return values_.size(); }

  private:
    using Array = vtkSmartPointer<vtkFloatArray>;

    /// Where a query puts one component of each array.
    struct Places {
        std::vector<void *> values, gradients, sensitivities;
    };
    Places places(vtkIdType first) const;

    template <class Input>
    void query(const drr::Sampler &sampler, const Input &input, vtkIdType first,
               drr_status (*values_only)(const drr_sampler *, const Input *, const drr_values *),
               drr_status (*with_gradients)(const drr_sampler *, const Input *, const drr_values *,
                                            const drr_gradients *, const drr_gradients *));

    std::size_t dims_;
    std::vector<Array> values_, gradients_, sensitivities_;
    Array vector_;
};

} // namespace drr_vtk

#endif

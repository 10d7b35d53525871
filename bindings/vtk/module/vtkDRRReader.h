/// A baked surrogate as an image: values on a regular lattice over its domain, for one set of
/// simulation parameters.
///
/// The output is a vtkImageData in the file's physical coordinates, with an array of 32-bit numbers
/// per value that has its name (and its unit, under vtkDataArray::UNITS_LABEL), those of
/// derivatives that were asked for, and the parameters as field data. Nothing of a whole image is
/// kept: what is computed is the piece or extent that is asked for, so that it streams and runs on
/// many MPI ranks. The same extent has the same bits always; pieces agree with the whole up to
/// rounding.
///
/// If one parameter is time, its range is offered as time steps.

#ifndef vtkDRRReader_h
#define vtkDRRReader_h

#include "vtkDRRAlgorithm.h"

class vtkImageData;

class VTKDRR_EXPORT vtkDRRReader : public vtkDRRAlgorithm {
  public:
    static vtkDRRReader *New();
    vtkTypeMacro(vtkDRRReader, vtkDRRAlgorithm);
    void PrintSelf(ostream &os, vtkIndent indent) override;

    vtkImageData *GetOutput();

    /// Points along x, y and z, the first and last of which are on the border of the domain; a
    /// single one is in its middle. Those of axes that the model lacks are ignored. 64 each.
    vtkSetVector3Macro(Dimensions, int);
    vtkGetVector3Macro(Dimensions, int);

    /// The part of the image to offer, in indices of points: `imin, imax, jmin, ...`, cut to the
    /// image. An axis whose first is more than its last, the default, is taken whole.
    vtkSetVector6Macro(SubExtent, int);
    vtkGetVector6Macro(SubExtent, int);

    /// Whether someone is moving a slider, and wants to see much rather than all. Off.
    vtkSetMacro(Interactive, bool);
    vtkGetMacro(Interactive, bool);
    vtkBooleanMacro(Interactive, bool);

    /// How much coarser the image is then: its points have this many times the spacing along each
    /// axis, at least 2 points remain. SubExtent means the same part of space still. 1 for as fine
    /// as ever; 0 tells who moves sliders not to ask for an image before they are released. 4.
    vtkSetClampMacro(InteractiveReduction, int, 0, 1024);
    vtkGetMacro(InteractiveReduction, int);

    /// How many time steps the parameter's range is divided into; the first and last are its ends.
    /// 25.
    vtkSetClampMacro(TimeSteps, int, 1, 100000);
    vtkGetMacro(TimeSteps, int);

    vtkTypeBool ProcessRequest(vtkInformation *request, vtkInformationVector **inputs,
                               vtkInformationVector *outputs) override;

  protected:
    vtkDRRReader();
    ~vtkDRRReader() override = default;
    int FillOutputPortInformation(int port, vtkInformation *info) override;

    int RequestInformation(vtkInformation *out);
    int RequestData(vtkInformation *out);

    int Dimensions[3] = {64, 64, 64};
    int SubExtent[6] = {0, -1, 0, -1, 0, -1};
    bool Interactive = false;
    int InteractiveReduction = 4;
    int TimeSteps = 25;

  private:
    vtkDRRReader(const vtkDRRReader &) = delete;
    void operator=(const vtkDRRReader &) = delete;

    struct Image;
    /// How many of so many points along an axis there are now.
    int Coarse(int points) const;
    bool Whole(Image &image);
    bool Fill(const Image &image, vtkImageData *output);
};

#endif

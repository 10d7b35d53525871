/// The panel of `Parameters`: a slider for each of the file's simulation parameters, with its name,
/// unit and range. Follows the file: the sliders are made anew when its ranges change.
///
/// While one is dragged, and the source has the properties `Interactive` and
/// `InteractiveReduction`, a coarser image is computed and shown; all of it when the slider is
/// released. What was never applied is not computed.

#ifndef drrSliders_h
#define drrSliders_h

#include <pqPropertyWidget.h>

#include <QList>
#include <QTimer>
#include <QVariant>

class pqDoubleRangeWidget;
class QGridLayout;

class drrSliders : public pqPropertyWidget {
    Q_OBJECT
    Q_PROPERTY(QList<QVariant> values READ values WRITE setValues NOTIFY valuesChanged)

  public:
    drrSliders(vtkSMProxy *proxy, vtkSMProperty *property, QWidget *parent = nullptr);
    ~drrSliders() override;

    /// One number per slider, in the file's order.
    QList<QVariant> values() const;
    void setValues(const QList<QVariant> &values);

  Q_SIGNALS:
    void valuesChanged();

  private:
    Q_DISABLE_COPY(drrSliders)

    void rebuild();

    /// Whether a drag is to be followed.
    bool isLive() const;
    void dragged();
    void released();
    void show(bool is_interactive);

    unsigned long Observer = 0; // of the ranges
    QGridLayout *Layout;
    QList<pqDoubleRangeWidget *> Sliders;
    QList<QVariant> Given;
    QTimer Latest; // Of many steps of a slider only the last one before a picture is shown.
    bool IsDragged = false;
};

#endif

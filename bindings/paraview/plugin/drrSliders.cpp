#include "drrSliders.h"

#include <pqApplicationCore.h>
#include <pqDoubleRangeWidget.h>
#include <pqProxy.h>
#include <pqServerManagerModel.h>
#include <vtkCommand.h>
#include <vtkSMDoubleRangeDomain.h>
#include <vtkSMProperty.h>
#include <vtkSMPropertyHelper.h>
#include <vtkSMProxy.h>
#include <vtkSMTrace.h>

#include <QGridLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSlider>

#include <vector>

drrSliders::drrSliders(vtkSMProxy *proxy, vtkSMProperty *property, QWidget *parent)
    : pqPropertyWidget(proxy, parent), Layout(new QGridLayout(this)) {
    this->setProperty(property);
    this->setShowLabel(false);
    // Applied when a slider is released, not at each of its steps.
    this->setChangeAvailableAsChangeFinished(false);
    this->Layout->setContentsMargins(0, 0, 0, 0);
    this->Layout->setColumnStretch(1, 1);
    this->Latest.setSingleShot(true);
    this->connect(&this->Latest, &QTimer::timeout, this, [this] { this->show(true); });
    this->rebuild();
    this->addPropertyLink(this, "values", SIGNAL(valuesChanged()), property);
    if (auto *domain = property->FindDomain<vtkSMDoubleRangeDomain>())
        this->Observer =
            domain->AddObserver(vtkCommand::DomainModifiedEvent, this, &drrSliders::rebuild);
}

drrSliders::~drrSliders() {
    if (auto *domain = this->property()->FindDomain<vtkSMDoubleRangeDomain>())
        domain->RemoveObserver(this->Observer);
}

void drrSliders::rebuild() {
    while (QLayoutItem *item = this->Layout->takeAt(0)) {
        // One of them may have sent the event that led here.
        item->widget()->hide();
        item->widget()->deleteLater();
        delete item;
    }
    this->Sliders.clear();
    auto *domain = this->property()->FindDomain<vtkSMDoubleRangeDomain>();
    const int count = domain ? static_cast<int>(domain->GetNumberOfEntries()) : 0;
    vtkSMPropertyHelper names(this->proxy(), "ParameterNames"),
        units(this->proxy(), "ParameterUnits");
    for (int k = 0; k < count; k++) {
        const auto index = static_cast<unsigned>(k);
        int has_min = 0, has_max = 0;
        const double min = domain->GetMinimum(index, has_min);
        const double max = domain->GetMaximum(index, has_max);
        QString text = index < names.GetNumberOfElements()
                           ? QString::fromUtf8(names.GetAsString(index))
                           : tr("Parameter %1").arg(k + 1);
        if (index < units.GetNumberOfElements() && *units.GetAsString(index))
            text += QString(" (%1)").arg(QString::fromUtf8(units.GetAsString(index)));
        auto *label = new QLabel(text, this);
        label->setToolTip(tr("%1 to %2").arg(min).arg(max));
        auto *slider = new pqDoubleRangeWidget(this);
        slider->setObjectName(QString("Slider%1").arg(k));
        slider->setMinimum(min);
        slider->setMaximum(max);
        slider->setStrictRange(true);
        slider->setValue(k < this->Given.size() ? this->Given[k].toDouble() : (min + max) / 2);
        this->connect(slider, &pqDoubleRangeWidget::valueChanged, this, &drrSliders::valuesChanged);
        this->connect(slider, &pqDoubleRangeWidget::valueEdited, this, &drrSliders::changeFinished);
        if (auto *handle = slider->findChild<QSlider *>()) {
            this->connect(slider, &pqDoubleRangeWidget::valueChanged, this, [this, handle] {
                if (handle->isSliderDown())
                    this->dragged();
            });
            this->connect(handle, &QSlider::sliderReleased, this, &drrSliders::released);
        }
        this->Layout->addWidget(label, k, 0);
        this->Layout->addWidget(slider, k, 1);
        this->Sliders.append(slider);
    }
    if (count == 0)
        this->Layout->addWidget(new QLabel(tr("Parameters are shown when a file is open."), this),
                                0, 0, 1, 2);
}

bool drrSliders::isLive() const {
    vtkSMProxy *source = this->proxy();
    if (!source->GetProperty("Interactive") ||
        vtkSMPropertyHelper(source, "InteractiveReduction").GetAsInt() < 1)
        return false;
    auto *model = pqApplicationCore::instance()->getServerManagerModel();
    const auto *item = model->findItem<pqProxy *>(source);
    return item && item->modifiedState() != pqProxy::UNINITIALIZED;
}

void drrSliders::dragged() {
    if (!this->isLive())
        return;
    this->IsDragged = true;
    if (!this->Latest.isActive())
        this->Latest.start(0);
}

void drrSliders::released() {
    this->Latest.stop();
    if (!this->IsDragged)
        return;
    this->IsDragged = false;
    // A trace has what was seen last, as if it had been applied.
    SM_SCOPED_TRACE(PropertiesModified).arg("proxy", this->proxy());
    this->property()->Modified();
    this->show(false);
}

void drrSliders::show(bool is_interactive) {
    std::vector<double> numbers;
    for (const QVariant &value : this->values())
        numbers.push_back(value.toDouble());
    vtkSMPropertyHelper(this->property())
        .Set(numbers.data(), static_cast<unsigned>(numbers.size()));
    vtkSMPropertyHelper(this->proxy(), "Interactive").Set(is_interactive ? 1 : 0);
    this->proxy()->UpdateVTKObjects();
    pqApplicationCore::instance()->render();
}

QList<QVariant> drrSliders::values() const {
    QList<QVariant> values;
    for (const pqDoubleRangeWidget *slider : this->Sliders)
        values.append(slider->value());
    // Without sliders there is nothing to change.
    return this->Sliders.isEmpty() ? this->Given : values;
}

void drrSliders::setValues(const QList<QVariant> &values) {
    this->Given = values;
    for (int k = 0; k < this->Sliders.size() && k < values.size(); k++) {
        const QSignalBlocker quiet(this->Sliders[k]);
        this->Sliders[k]->setValue(values[k].toDouble());
    }
}

#include "Drag.h"

#include <pqApplicationCore.h>
#include <pqPipelineSource.h>
#include <pqServerManagerModel.h>
#include <vtkPVDataInformation.h>
#include <vtkSMPropertyHelper.h>
#include <vtkSMSourceProxy.h>
#include <vtkSMTrace.h>

#include <QApplication>
#include <QElapsedTimer>
#include <QFile>
#include <QSlider>
#include <QTextStream>
#include <QTimer>

namespace {

void wait(int milliseconds) {
    QElapsedTimer timer;
    timer.start();
    while (timer.elapsed() < milliseconds)
        QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
}

QSlider *first_slider() {
    for (QWidget *widget : QApplication::allWidgets())
        if (widget->objectName() == "Slider0")
            if (auto *slider = widget->findChild<QSlider *>())
                return slider;
    return nullptr;
}

} // namespace

void Drag::startup() {
    QTimer::singleShot(1000, this, [this] { this->run(); });
}

void Drag::run() {
    QFile file(qEnvironmentVariable("DRR_DRAGGED"));
    file.open(QIODevice::WriteOnly);
    QTextStream out(&file);
    auto *model = pqApplicationCore::instance()->getServerManagerModel();
    const QList<pqPipelineSource *> sources = model->findItems<pqPipelineSource *>();
    QSlider *slider = first_slider();
    if (sources.isEmpty() || !slider) {
        out << "there is no source, or no slider\n";
    } else {
        auto *source = vtkSMSourceProxy::SafeDownCast(sources.first()->getProxy());
        const auto say = [&](const char *what) {
            wait(500);
            out << what << " " << vtkSMPropertyHelper(source, "Interactive").GetAsInt() << " "
                << vtkSMPropertyHelper(source, "Parameters").GetAsDouble(0) << " "
                << source->GetDataInformation()->GetNumberOfPoints() << "\n";
        };
        vtkSMTrace::StartTrace();
        say("before");
        slider->setSliderDown(true);
        slider->setValue(slider->minimum() + (slider->maximum() - slider->minimum()) / 4);
        say("dragged");
        slider->setValue(slider->minimum() + (slider->maximum() - slider->minimum()) * 3 / 4);
        say("dragged");
        slider->setSliderDown(false);
        say("released");
        out << "trace\n" << vtkSMTrace::StopTrace().c_str();
    }
    out.flush();
    file.close();
    QCoreApplication::exit(0);
}

/// Drags the first slider of the panel to some places, says what ParaView computed at each, and
/// ends ParaView. The lines go to the file that DRR_DRAGGED names: what was done, whether the
/// source says that it is interactive, the first parameter, points of the image; then `trace`, and
/// the Python of what was done.

#ifndef Drag_h
#define Drag_h

#include <QObject>

class Drag : public QObject {
    Q_OBJECT

  public:
    explicit Drag(QObject *parent = nullptr) : QObject(parent) {}

    void startup();
    void shutdown() {}

  private:
    void run();
};

#endif

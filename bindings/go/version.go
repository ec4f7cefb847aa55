//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_version
#cgo nocallback reqbus_version
*/
import "C"

// Version is the version of libreqbus that this program was compiled for.
const Version = C.REQBUS_VERSION_STRING

// LibraryVersion is the version of the libreqbus that runs. It may be newer than [Version].
func LibraryVersion() string { return C.GoString(C.reqbus_version()) }

//go:build cgo

package reqbus

/*
#include "shim.h"
#cgo noescape reqbus_limit_nonpositive_is_unlimited
#cgo nocallback reqbus_limit_nonpositive_is_unlimited
*/
import "C"

import (
	"math"
	"strconv"
)

// Key is what is limited: a scope ("user") and an id in it ("42"), each of 1 to 255 bytes. An id may be a secret: no error
// shows it.
type Key struct{ Scope, ID string }

// User is the key of a user.
func User(id int64) Key { return Key{Scope: "user", ID: strconv.FormatInt(id, 10)} }

// Account is the key of an upstream account.
func Account(id int64) Key { return Key{Scope: "account", ID: strconv.FormatInt(id, 10)} }

// APIKey is the key of an API key.
func APIKey(id string) Key { return Key{Scope: "api_key", ID: id} }

// Limit is how many slots of a key may be in use: 1 to [MaxLimit], [Unlimited], or 0, which refuses newcomers.
type Limit int64

const (
	// MaxLimit is the greatest limit that is a number.
	MaxLimit Limit = C.REQBUS_LIMIT_MAX
	// Unlimited: holders are still counted and listed.
	Unlimited Limit = math.MaxInt64
	// NotGiven: a call says no limit, and takes the one that the key has. In what reqbus tells: it is not known.
	NotGiven Limit = math.MaxInt64 - 1
)

// NonpositiveIsUnlimited is what a number means where 0 and less mean unlimited. No other function of this package reads
// a limit so.
func NonpositiveIsUnlimited(number int64) (Limit, error) {
	var limit C.int64_t
	if status := C.reqbus_limit_nonpositive_is_unlimited(C.int64_t(number), &limit); status != C.REQBUS_OK {
		return 0, &Error{Kind: Kind(status), Context: "limit", Message: "the limit is above 1000000000"}
	}
	return Limit(limit), nil
}

func (l Limit) isValid() bool { return l >= 0 && l <= MaxLimit || l == Unlimited || l == NotGiven }

func (l Limit) String() string {
	switch l {
	case Unlimited:
		return "unlimited"
	case NotGiven:
		return "not given"
	}
	return strconv.FormatInt(int64(l), 10)
}

// Ask is a key that a call asks a slot of, with the limit that the caller knows for it. The latest call decides; a limit
// that [Pool.SetLimit] has set wins over it.
type Ask struct {
	Key   Key
	Limit Limit
}

//go:build cgo

package reqbus

// lineSkips are the cases of pools that say what only a store can that answers within the call, and why.
var lineSkips = map[string]string{
	"slots-raised-by-a-call-offers-to-those-before": "the newcomer stands in the queue before the raised limit is known",
	"slots-cancel-of-a-grant-of-several-frees-all":  "the second key is asked for by a look, so it is not known yet",
	"slots-several-hold-what-they-have":             "the second key is asked for by a look, so there is no position yet",
	"slots-mean-hold-is-of-released-slots":          "an offer reaches its waiter as a holding, which a cancel gives back",
	"slots-mean-hold-is-not-of-waits-that-ended":    "what a wait holds that nobody looks at is given back by its next look",
}

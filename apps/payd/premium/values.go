package premium

// Model names this set of values; it is written into every quote.
const Model = "payd-1"

// Basis says where a value comes from.
type Basis string

// The bases.
const (
	Measured     Basis = "measured"     // fitted on open data
	Published    Basis = "published"    // from the literature
	Illustrative Basis = "illustrative" // invented for this demonstration
)

// Value is a named constant of the formula.
type Value struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Basis  Basis   `json:"basis"`
	Source string  `json:"source"`
}

// The values of the formula. Everything illustrative is to be replaced by an insurer's own figures.
var (
	baseFrequency = Value{"Claims of an ordinary driver", 0.065, "per year", Illustrative,
		"within 0.046 to 0.095, the raw range of 183,999 Norwegian policies"}
	severity     = Value{"Average claim", 4160, "EUR", Illustrative, "invented"}
	expenses     = Value{"Expenses", 0.25, "", Illustrative, "invented"}
	ordinaryKm   = Value{"Ordinary mileage", 12000, "km/year", Illustrative, "the reference of the mileage curve"}
	mileagePower = Value{"Mileage exponent", 0.51, "", Measured, "fitted on 183,999 Norwegian policies, s.e. 0.035"}
	mileageDays  = Value{"Days until mileage counts half", 30, "days", Illustrative, "invented"}
	behaviour    = Value{"Effect of 10 points of score", 0.12, "", Illustrative,
		"no open data joins driving with claims"}
	credibilityKm = Value{"Kilometres until behaviour counts half", 4000, "km", Published,
		"Duval, Boucher, Pigeon: little is learned beyond 4,000 km or 3 months"}
	discountMax  = Value{"Largest discount", 0.30, "", Published, "the market's range"}
	surchargeMax = Value{"Largest surcharge", 0.15, "", Illustrative, "invented"}
)

// Values lists all values of the formula, for a page to show.
func Values() []Value {
	return []Value{baseFrequency, severity, expenses, ordinaryKm, mileagePower, mileageDays, behaviour, credibilityKm,
		discountMax, surchargeMax}
}

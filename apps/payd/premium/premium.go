package premium

import (
	"fmt"
	"math"

	"github.com/logbahn/logbahn/apps/payd/habit"
)

// Factor is one multiplier of a premium, with the reason in words.
type Factor struct {
	Name   string  `json:"name"`
	Factor float64 `json:"factor"`
	Why    string  `json:"why"`
	Basis  Basis   `json:"basis"`
}

// Quote is a driver's premium with all that it is made of: the product of base and factors is the premium, to the
// cent. It is absolute, so writing it twice is harmless.
type Quote struct {
	Device     string   `json:"device_id"`
	Model      string   `json:"model"`
	ScoreModel string   `json:"score_model"`
	TimeMs     int64    `json:"ts_ms"`
	Currency   string   `json:"currency"`
	BaseCents  int64    `json:"base_cents_year"`
	Cents      int64    `json:"cents_year"`
	Score      float64  `json:"score"`
	KmYear     float64  `json:"km_year"`
	Simulated  int      `json:"simulated_days"`
	Factors    []Factor `json:"factors"`
}

// Finite tells whether all of it are numbers. What is made of a score that no driving leads to may have none.
func (q *Quote) Finite() bool {
	all := q.Score + q.KmYear
	for _, f := range q.Factors {
		all += f.Factor
	}
	return !math.IsNaN(all) && !math.IsInf(all, 0)
}

// BaseEUR is the premium of an ordinary driver, EUR a year.
func BaseEUR() float64 { return baseFrequency.Value * severity.Value * (1 + expenses.Value) }

// Price computes a driver's premium.
func Price(s *habit.Summary) Quote {
	q := Quote{
		Device: s.Device, Model: Model, ScoreModel: s.Model, TimeMs: s.TimeMs, Currency: "EUR",
		BaseCents: cents(BaseEUR()), Score: s.Score, Simulated: s.SimulatedDays,
	}
	q.KmYear = kmYear(s)
	q.Factors = append(q.Factors, Factor{
		Name: "mileage", Factor: math.Pow(q.KmYear/ordinaryKm.Value, mileagePower.Value), Basis: Measured,
		Why: fmt.Sprintf("about %s km a year, against %s", thousands(q.KmYear), thousands(ordinaryKm.Value)),
	})
	credibility := s.Km() / (s.Km() + credibilityKm.Value)
	for i, part := range s.Parts {
		q.Factors = append(q.Factors, behaviourFactor(part, habit.PartModels[i], credibility))
	}
	product := BaseEUR()
	for _, f := range q.Factors {
		product *= f.Factor
	}
	capped := min(max(product, BaseEUR()*(1-discountMax.Value)), BaseEUR()*(1+surchargeMax.Value))
	if capped != product {
		f := limit(capped, product)
		q.Factors = append(q.Factors, f)
		product *= f.Factor
	}
	q.Cents = cents(product)
	return q
}

// behaviourFactor is the part's share of exp(Z theta (S_ref - S) / 10): since the weights sum to one, the product of
// the parts' factors is the whole.
func behaviourFactor(part habit.Part, model habit.PartModel, credibility float64) Factor {
	exponent := credibility * behaviour.Value * part.Weight * (model.ReferenceScore() - part.Score) / 10
	return Factor{
		Name: part.Name, Factor: math.Exp(exponent), Basis: Illustrative,
		Why: fmt.Sprintf("%.1f %s, against %.1f; counted at %.0f %%", part.Rate, part.Unit, model.Reference, 100*credibility),
	}
}

func limit(capped, product float64) Factor {
	why, basis := fmt.Sprintf("no discount beyond %.0f %%", 100*discountMax.Value), discountMax.Basis
	if capped < product {
		why, basis = fmt.Sprintf("no surcharge beyond %.0f %%", 100*surchargeMax.Value), surchargeMax.Basis
	}
	return Factor{Name: "limit", Factor: capped / product, Why: why, Basis: basis}
}

// kmYear scales the window to a year and mixes it with the ordinary mileage while few days are known.
func kmYear(s *habit.Summary) float64 {
	if s.Days == 0 {
		return ordinaryKm.Value
	}
	days := float64(s.Days)
	known := days / (days + mileageDays.Value)
	return max(known*s.Km()*365/days+(1-known)*ordinaryKm.Value, 1)
}

func cents(eur float64) int64 { return int64(math.Round(eur * 100)) }

func thousands(v float64) string {
	n := int64(math.Round(v))
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

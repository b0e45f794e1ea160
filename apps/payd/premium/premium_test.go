package premium

import (
	"math"
	"testing"

	"github.com/logbahn/logbahn/apps/payd/habit"
	"pgregory.net/rapid"
)

func summary(t habit.Tally, days int) *habit.Summary {
	score, parts := habit.Score(t)
	return &habit.Summary{Device: "a", Model: habit.Model, Days: days, Score: score, Parts: parts, Window: t}
}

func drawTally(t *rapid.T) habit.Tally {
	km := rapid.Float64Range(0, 40000).Draw(t, "km")
	return habit.Tally{
		Metres: km * 1000, Seconds: km * 90, SpeedingS: km * rapid.Float64Range(0, 40).Draw(t, "speeding"),
		NightMetres: km * 1000 * rapid.Float64Range(0, 1).Draw(t, "night"),
		Brake:       habit.Count{N: 1, Weight: km * rapid.Float64Range(0, 1).Draw(t, "brakes")},
		Corner:      habit.Count{N: 1, Weight: km * rapid.Float64Range(0, 1).Draw(t, "corners")},
	}
}

// The printed factors are the whole of the premium, and the premium stays within its bounds.
func TestFactorsExplainThePremium(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := Price(summary(drawTally(t), rapid.IntRange(0, 90).Draw(t, "days")))
		product := BaseEUR()
		for _, f := range q.Factors {
			if f.Factor <= 0 || math.IsNaN(f.Factor) || f.Why == "" || f.Basis == "" {
				t.Fatalf("%+v", f)
			}
			product *= f.Factor
		}
		if cents(product) != q.Cents {
			t.Fatalf("factors give %d cents, the premium is %d", cents(product), q.Cents)
		}
		if q.Cents < cents(BaseEUR()*0.7) || q.Cents > cents(BaseEUR()*1.15) {
			t.Fatalf("%d cents is outside the bounds of %d", q.Cents, q.BaseCents)
		}
	})
}

func TestWorseDrivingNeverCostsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tally := drawTally(t)
		before := Price(summary(tally, 90))
		tally.Brake.Weight += rapid.Float64Range(0, 100).Draw(t, "more")
		if after := Price(summary(tally, 90)); after.Cents < before.Cents {
			t.Fatalf("%d cents, then %d", before.Cents, after.Cents)
		}
	})
}

func TestNothingKnownIsTheBase(t *testing.T) {
	if q := Price(summary(habit.Tally{}, 0)); q.Cents != q.BaseCents {
		t.Errorf("%d cents instead of %d", q.Cents, q.BaseCents)
	}
}

func TestMileageRelativities(t *testing.T) {
	for km, want := range map[float64]float64{8000: 0.81, 12000: 1, 16000: 1.16, 20000: 1.30} {
		got := math.Pow(km/ordinaryKm.Value, mileagePower.Value)
		if math.Abs(got-want) > 0.01 {
			t.Errorf("%.0f km: %.3f instead of %.2f", km, got, want)
		}
	}
}

func TestEveryValueSaysWhereItComesFrom(t *testing.T) {
	for _, v := range Values() {
		if v.Name == "" || v.Basis == "" || v.Source == "" || v.Value == 0 {
			t.Errorf("%+v", v)
		}
	}
}

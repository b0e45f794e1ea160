package trip

import "math"

// Point is a place on WGS 84, in degrees.
type Point struct {
	Lat float64 `json:"lat"`
	Lon float64 `json:"lon"`
}

// earthM is the mean radius of the earth in metres (IUGG).
const earthM = 6371008.8

// DistanceM returns the great-circle distance in metres.
func DistanceM(a, b Point) float64 {
	lat1, lat2 := radians(a.Lat), radians(b.Lat)
	h := square(math.Sin((lat2-lat1)/2)) + math.Cos(lat1)*math.Cos(lat2)*square(math.Sin(radians(b.Lon-a.Lon)/2))
	return 2 * earthM * math.Asin(math.Sqrt(min(h, 1)))
}

func radians(degrees float64) float64 { return degrees * math.Pi / 180 }
func square(v float64) float64        { return v * v }

// turn brings an angle into 0 to 360 degrees.
func turn(degrees float64) float64 {
	if degrees = math.Mod(degrees, 360); degrees < 0 {
		degrees += 360
	}
	return degrees
}

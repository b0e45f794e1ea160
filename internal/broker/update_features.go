package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// UpdateFeatures, versions 0 to 2 (KIP-584, KIP-778). No feature has a level here (ApiVersions lists none), so that none
// can be changed; Kafka's controller says the same of features that it does not know. The first one that is wrong is
// named, and no other is looked at.

// What an update may do.
const (
	upgradeFeature         = 1
	safeDowngradeFeature   = 2
	unsafeDowngradeFeature = 3
)

func (b *Broker) updateFeatures(_ context.Context, _ *Request, req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	resp := kmsg.NewPtrUpdateFeaturesResponse()
	if len(req.FeatureUpdates) == 0 {
		return resp
	}
	u := &req.FeatureUpdates[0]
	resp.ErrorCode = wire.InvalidUpdateVersion.Code()
	resp.ErrorMessage = kmsg.StringPtr(fmt.Sprintf(
		"The update failed for all features since the following feature had an error: Invalid update version %d for feature %s. %s",
		u.MaxVersionLevel, u.Feature, b.featureRefusal(req.Version, u)))
	return resp
}

func (b *Broker) featureRefusal(version int16, u *kmsg.UpdateFeaturesRequestFeatureUpdate) string {
	kind := u.UpgradeType
	if version == 0 {
		kind = upgradeFeature
		if u.AllowDowngrade {
			kind = safeDowngradeFeature
		}
	}
	switch {
	case kind < upgradeFeature || kind > unsafeDowngradeFeature:
		return "The controller does not support the given upgrade type."
	case u.MaxVersionLevel < 0:
		return "A feature version cannot be less than 0."
	case u.MaxVersionLevel == 0:
		return fmt.Sprintf("Feature %s not found.", u.Feature)
	}
	return fmt.Sprintf("Local controller %d does not support this feature.", b.cfg.NodeID)
}

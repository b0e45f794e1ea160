package main

import (
	"context"

	"github.com/segmentio/kafka-go"
)

func (l *library) DescribeACLs(ctx context.Context) error {
	response, err := l.Client.DescribeACLs(ctx, &kafka.DescribeACLsRequest{Filter: kafka.ACLFilter{
		ResourceTypeFilter: kafka.ResourceTypeAny, ResourcePatternTypeFilter: kafka.PatternTypeAny,
		Operation: kafka.ACLOperationTypeAny, PermissionType: kafka.ACLPermissionTypeAny,
	}})
	if err != nil {
		return err
	}
	return response.Error
}

func (l *library) CreateACL(ctx context.Context, topic string) error {
	response, err := l.CreateACLs(ctx, &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:a", Host: "*", Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow,
	}}})
	if err != nil {
		return err
	}
	return response.Errors[0]
}

func (l *library) DeleteACL(ctx context.Context, topic string) error {
	response, err := l.DeleteACLs(ctx, &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{
		ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: topic, ResourcePatternTypeFilter: kafka.PatternTypeLiteral,
		PrincipalFilter: "User:a", HostFilter: "*", Operation: kafka.ACLOperationTypeRead, PermissionType: kafka.ACLPermissionTypeAllow,
	}}})
	if err != nil {
		return err
	}
	return response.Results[0].Error
}

func (l *library) DescribeSCRAM(ctx context.Context, user string) error {
	response, err := l.DescribeUserScramCredentials(ctx, &kafka.DescribeUserScramCredentialsRequest{Users: []kafka.UserScramCredentialsUser{{Name: user}}})
	if err != nil {
		return err
	}
	if response.Error != nil {
		return response.Error
	}
	return response.Results[0].Error
}

func (l *library) DeleteSCRAM(ctx context.Context, user string) error {
	return l.alterSCRAM(ctx, &kafka.AlterUserScramCredentialsRequest{
		Deletions: []kafka.UserScramCredentialsDeletion{{Name: user, Mechanism: kafka.ScramMechanismSha256}},
	})
}

func (l *library) UpsertSCRAM(ctx context.Context, user string) error {
	return l.alterSCRAM(ctx, &kafka.AlterUserScramCredentialsRequest{
		Upsertions: []kafka.UserScramCredentialsUpsertion{{
			Name: user, Mechanism: kafka.ScramMechanismSha256, Iterations: 8192, Salt: []byte("salt"), SaltedPassword: make([]byte, 32),
		}},
	})
}

func (l *library) alterSCRAM(ctx context.Context, request *kafka.AlterUserScramCredentialsRequest) error {
	response, err := l.AlterUserScramCredentials(ctx, request)
	if err != nil {
		return err
	}
	return response.Results[0].Error
}

func (l *library) SetQuota(ctx context.Context, clientID string, bytesPerSecond float64) error {
	response, err := l.AlterClientQuotas(ctx, &kafka.AlterClientQuotasRequest{Entries: []kafka.AlterClientQuotaEntry{{
		Entities: []kafka.AlterClientQuotaEntity{{EntityType: "client-id", EntityName: clientID}},
		Ops:      []kafka.AlterClientQuotaOps{{Key: "producer_byte_rate", Value: bytesPerSecond}},
	}}})
	if err != nil {
		return err
	}
	return response.Entries[0].Error
}

func (l *library) Quotas(ctx context.Context, clientID string) ([]float64, error) {
	response, err := l.DescribeClientQuotas(ctx, &kafka.DescribeClientQuotasRequest{
		Components: []kafka.DescribeClientQuotasRequestComponent{{EntityType: "client-id", Match: clientID}}, Strict: true,
	})
	if err != nil {
		return nil, err
	}
	var values []float64
	for _, entry := range response.Entries {
		for _, value := range entry.Values {
			values = append(values, value.Value)
		}
	}
	return values, response.Error
}

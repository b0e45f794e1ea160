package main

import (
	"context"

	"github.com/IBM/sarama"
	"github.com/logbahn/logbahn/interop/clients/go/driver"
)

func (l *library) DescribeACLs(context.Context) error {
	_, err := l.ListAcls(sarama.AclFilter{
		ResourceType: sarama.AclResourceAny, ResourcePatternTypeFilter: sarama.AclPatternAny,
		Operation: sarama.AclOperationAny, PermissionType: sarama.AclPermissionAny,
	})
	return err
}

func (l *library) CreateACL(_ context.Context, topic string) error {
	return l.ClusterAdmin.CreateACL(
		sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: topic, ResourcePatternType: sarama.AclPatternLiteral},
		sarama.Acl{Principal: "User:a", Host: "*", Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow})
}

func (l *library) DeleteACL(_ context.Context, topic string) error {
	principal := "User:a"
	_, err := l.ClusterAdmin.DeleteACL(sarama.AclFilter{
		ResourceType: sarama.AclResourceTopic, ResourceName: &topic, ResourcePatternTypeFilter: sarama.AclPatternLiteral,
		Principal: &principal, Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow,
	}, false)
	return err
}

func (l *library) DescribeSCRAM(_ context.Context, user string) error {
	results, err := l.DescribeUserScramCredentials([]string{user})
	if err != nil {
		return err
	}
	return answered(results[0].ErrorCode)
}

func (l *library) DeleteSCRAM(_ context.Context, user string) error {
	results, err := l.DeleteUserScramCredentials([]sarama.AlterUserScramCredentialsDelete{{Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_256}})
	if err != nil {
		return err
	}
	return answered(results[0].ErrorCode)
}

func (l *library) UpsertSCRAM(_ context.Context, user string) error {
	results, err := l.UpsertUserScramCredentials([]sarama.AlterUserScramCredentialsUpsert{{
		Name: user, Mechanism: sarama.SCRAM_MECHANISM_SHA_256, Iterations: 8192, Salt: []byte("salt"), Password: []byte("secret"),
	}})
	if err != nil {
		return err
	}
	return answered(results[0].ErrorCode)
}

func (l *library) SetQuota(_ context.Context, clientID string, bytesPerSecond float64) error {
	entity := []sarama.QuotaEntityComponent{{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Name: clientID}}
	return l.AlterClientQuotas(entity, sarama.ClientQuotasOp{Key: "producer_byte_rate", Value: bytesPerSecond}, false)
}

func (l *library) Quotas(_ context.Context, clientID string) ([]float64, error) {
	entries, err := l.DescribeClientQuotas([]sarama.QuotaFilterComponent{
		{EntityType: sarama.QuotaEntityClientID, MatchType: sarama.QuotaMatchExact, Match: clientID},
	}, true)
	var values []float64
	for _, entry := range entries {
		for _, value := range entry.Values {
			values = append(values, value)
		}
	}
	return values, err
}

type transaction struct{ producer sarama.SyncProducer }

func (l *library) InitTransactions(_ context.Context, id string) (driver.Transaction, error) {
	c := config()
	c.Producer.Partitioner = sarama.NewManualPartitioner
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	c.Producer.Transaction.ID = id
	producer, err := sarama.NewSyncProducer(l.addrs, c)
	if err != nil {
		return nil, err
	}
	return &transaction{producer}, nil
}

func (t *transaction) Write(_ context.Context, topic string, records []driver.Record) error {
	if err := t.producer.BeginTxn(); err != nil {
		return err
	}
	return send(t.producer, messages(topic, records))
}

func (t *transaction) Commit(context.Context) error { return t.producer.CommitTxn() }
func (t *transaction) Abort(context.Context) error  { return t.producer.AbortTxn() }
func (t *transaction) Close()                       { t.producer.Close() }

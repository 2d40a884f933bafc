# The three tables as `lamplighter tables create` makes them; a test holds the two equal. What is added here are
# backups, protection from deletion, and encryption with a key that can be audited.

locals {
  key = { desired = "id", state = "pk", events = "id" }
}

resource "aws_dynamodb_table" "desired" {
  #checkov:skip=CKV_AWS_119:Encrypted either way; whether with a key of yours is for kms_key_arn to say.
  name                        = var.tables.desired
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = local.key.desired
  deletion_protection_enabled = var.deletion_protection
  # The daemon reads this table by polls. The stream is there for what else wants to follow it.
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"
  tags             = var.tags

  attribute {
    name = local.key.desired
    type = "S"
  }
  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

resource "aws_dynamodb_table" "state" {
  #checkov:skip=CKV_AWS_119:Encrypted either way; whether with a key of yours is for kms_key_arn to say.
  name                        = var.tables.state
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = local.key.state
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  attribute {
    name = local.key.state
    type = "S"
  }
  ttl {
    enabled        = true
    attribute_name = "ttl"
  }
  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

resource "aws_dynamodb_table" "events" {
  #checkov:skip=CKV_AWS_119:Encrypted either way; whether with a key of yours is for kms_key_arn to say.
  name                        = var.tables.events
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = local.key.events
  range_key                   = "at"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  attribute {
    name = local.key.events
    type = "S"
  }
  attribute {
    name = "at"
    type = "S"
  }
  ttl {
    enabled        = true
    attribute_name = "ttl"
  }
  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }
  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

# Bad values, one of each variable at a time, and that each is refused by its own variable. Nothing is asked of AWS.

mock_provider "aws" {}

variables {
  projects = ["shop"]
  clusters = ["apps"]
}

run "first_of_each" {
  command = plan
  variables {
    # A name with capitals.
    name = "Lamplighter"
    # A name too short.
    tables = { desired = "ab" }
    # None.
    projects = []
    # An address.
    clusters = ["arn:aws:ecs:eu-central-1:111122223333:cluster/apps"]
    # Longer than AWS keeps.
    recovery_days = 36
    # An alias.
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/tables"
    # No length of logs.
    log_retention_days = 100
    # Anybody.
    portal_principals = ["*"]
    # Any role.
    operator_principals = ["arn:aws:iam::111122223333:role/*"]
    # An issuer without its address.
    kubernetes = { oidc_provider_arn = "oidc.example.com", namespace = "apps", service_account = "lamplighter" }
    # The tag of an app.
    tags = { "lamplighter:instance-id" = "daemon" }
    # Service without subnets.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = []
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = "[apps.shop]"
    }
  }
  expect_failures = [var.name, var.tables, var.projects, var.clusters, var.recovery_days, var.kms_key_arn, var.log_retention_days, var.portal_principals, var.operator_principals, var.kubernetes, var.tags, var.service]
}

run "second_of_each" {
  command = plan
  variables {
    # One table for two.
    tables = { desired = "same-name", state = "same-name" }
    # A pattern.
    projects = ["shop*"]
    # None.
    clusters = []
    # Any service account.
    kubernetes = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1", namespace = "apps", service_account = "*" }
    # Image that changes.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:latest"
      config     = "[apps.shop]"
    }
  }
  expect_failures = [var.tables, var.projects, var.clusters, var.kubernetes, var.service]
}

run "third_of_each" {
  command = plan
  variables {
    # Neither Pod Identity nor a provider.
    kubernetes = { namespace = "apps", service_account = "lamplighter" }
    # Image without a version.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com:5000/lamplighter"
      config     = "[apps.shop]"
    }
  }
  expect_failures = [var.kubernetes, var.service]
}

run "fourth_of_each" {
  command = plan
  variables {
    # Both at once.
    kubernetes = { pod_identity = true, oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1", namespace = "apps", service_account = "lamplighter" }
    # Config that is none.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = "lamplighter.toml"
    }
  }
  expect_failures = [var.kubernetes, var.service]
}

run "fifth_of_each" {
  command = plan
  variables {
    # Any cluster of an account, in a pattern.
    kubernetes = { pod_identity = true, cluster_arn = "arn:aws:eks:eu-central-1:111122223333:cluster/*", namespace = "apps", service_account = "lamplighter" }
    # Config too long.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = format("[apps.%050000d]", 0)
    }
  }
  expect_failures = [var.kubernetes, var.service]
}

run "sixth_of_each" {
  command = plan
  variables {
    # A cluster beside its provider.
    kubernetes = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1", cluster_arn = "arn:aws:eks:eu-central-1:111122223333:cluster/apps", namespace = "apps", service_account = "lamplighter" }
    # No replica.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = "[apps.shop]"
      replicas   = 0
    }
  }
  expect_failures = [var.kubernetes, var.service]
}

run "seventh_of_each" {
  command = plan
  variables {
    # Any service account of Pod Identity.
    kubernetes = { pod_identity = true, namespace = "*", service_account = "lamplighter" }
    # Architecture of others.
    service = {
      cluster      = "apps"
      vpc_id       = "vpc-1"
      subnet_ids   = ["subnet-1"]
      image        = "registry.example.com/lamplighter:0.1.0"
      config       = "[apps.shop]"
      architecture = "RISCV"
    }
  }
  expect_failures = [var.kubernetes, var.service]
}

run "eighth_of_each" {
  command = plan
  variables {
    # Size that fargate has not.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = "[apps.shop]"
      cpu        = 256
      memory     = 4096
    }
  }
  expect_failures = [var.service]
}

run "ninth_of_each" {
  command = plan
  variables {
    # Stopped within the grace.
    service = {
      cluster      = "apps"
      vpc_id       = "vpc-1"
      subnet_ids   = ["subnet-1"]
      image        = "registry.example.com/lamplighter:0.1.0"
      config       = "[apps.shop]"
      stop_timeout = 10
    }
  }
  expect_failures = [var.service]
}

run "tenth_of_each" {
  command = plan
  variables {
    # Secret in plain text.
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter:0.1.0"
      config     = "[apps.shop]"
      secrets    = { WEBHOOK_SECRET = "whsec_example" }
    }
  }
  expect_failures = [var.service]
}

run "eleventh_of_each" {
  command = plan
  variables {
    # An API for a group, on loopback.
    service = {
      cluster                = "apps"
      vpc_id                 = "vpc-1"
      subnet_ids             = ["subnet-1"]
      image                  = "registry.example.com/lamplighter:0.1.0"
      config                 = "[api]\n# public_addr = \"0.0.0.0:8080\"\n[apps.shop]"
      api_security_group_ids = ["sg-1"]
    }
  }
  expect_failures = [var.service]
}

run "twelfth_of_each" {
  command = plan
  variables {
    # An API behind a load balancer, on a port where none looks for it.
    service = {
      cluster          = "apps"
      vpc_id           = "vpc-1"
      subnet_ids       = ["subnet-1"]
      image            = "registry.example.com/lamplighter:0.1.0"
      config           = "[api]\npublic_addr = \"0.0.0.0:80\"\n[apps.shop]"
      target_group_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/api/0123456789abcdef"
    }
  }
  expect_failures = [var.service]
}

run "thirteenth_of_each" {
  command = plan
  variables {
    # No port.
    service = {
      cluster      = "apps"
      vpc_id       = "vpc-1"
      subnet_ids   = ["subnet-1"]
      image        = "registry.example.com/lamplighter:0.1.0"
      config       = "[apps.shop]"
      egress_ports = [8443, 65536]
    }
  }
  expect_failures = [var.service]
}

run "a_variable_that_can_have_no_such_name" {
  command = plan
  variables {
    build_variables = ["TF_VAR_size", "*"]
  }
  expect_failures = [var.build_variables]
}

# Who may take which role. The policies are resources of their own, so that a role you already have can take them on.

resource "aws_iam_policy" "daemon" {
  name        = "${var.name}-daemon"
  description = "What the Lamplighter daemon calls"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.daemon_statements })
  tags        = var.tags
}

resource "aws_iam_policy" "portal" {
  name        = "${var.name}-portal"
  description = "Writes rows and reads what became of them"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.portal_statements })
  tags        = var.tags
}

resource "aws_iam_policy" "operator" {
  name        = "${var.name}-operator"
  description = "Looks at all that Lamplighter works with, and changes nothing"
  policy      = jsonencode({ Version = "2012-10-17", Statement = local.operator_statements })
  tags        = var.tags
}

locals {
  # Nobody can take the daemon's role unless it runs on ECS or in a cluster of yours.
  daemon_trust = concat(
    [for service in [var.service] : {
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      # AWS: without it, tasks of any account could be handed this role.
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.here}:*" }
      }
    } if service != null],
    [for kubernetes in [var.kubernetes] : {
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = kubernetes.oidc_provider_arn }
      Condition = {
        StringEquals = {
          "${split(":oidc-provider/", kubernetes.oidc_provider_arn)[1]}:aud" = "sts.amazonaws.com"
          "${split(":oidc-provider/", kubernetes.oidc_provider_arn)[1]}:sub" = "system:serviceaccount:${kubernetes.namespace}:${kubernetes.service_account}"
        }
      }
    } if try(kubernetes.oidc_provider_arn, null) != null],
    [for kubernetes in [var.kubernetes] : {
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      # AWS: whoever may pass this role can associate it with any service account, unless the tags that EKS sets are asked
      # for. An association that was made with them switched off does not get the role.
      Condition = {
        StringEquals = merge(
          {
            "aws:SourceAccount"                         = local.account
            "aws:RequestTag/kubernetes-namespace"       = kubernetes.namespace
            "aws:RequestTag/kubernetes-service-account" = kubernetes.service_account
          },
          kubernetes.cluster_arn == null ? {} : { "aws:RequestTag/eks-cluster-arn" = kubernetes.cluster_arn },
        )
      }
    } if try(kubernetes.pod_identity, false)],
  )
}

resource "aws_iam_role" "daemon" {
  count              = length(local.daemon_trust) > 0 ? 1 : 0
  name               = "${var.name}-daemon"
  description        = "The Lamplighter daemon"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = local.daemon_trust })
  tags               = var.tags
}

resource "aws_iam_role_policy_attachment" "daemon" {
  count      = length(aws_iam_role.daemon)
  role       = aws_iam_role.daemon[0].name
  policy_arn = aws_iam_policy.daemon.arn
}

resource "aws_iam_role" "portal" {
  count       = length(var.portal_principals) > 0 ? 1 : 0
  name        = "${var.name}-portal"
  description = "The portal that writes rows for Lamplighter"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = var.portal_principals } }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "portal" {
  count      = length(aws_iam_role.portal)
  role       = aws_iam_role.portal[0].name
  policy_arn = aws_iam_policy.portal.arn
}

resource "aws_iam_role" "operator" {
  count       = length(var.operator_principals) > 0 ? 1 : 0
  name        = "${var.name}-operator"
  description = "Looks at all that Lamplighter works with, and changes nothing"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = var.operator_principals } }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy_attachment" "operator" {
  count      = length(aws_iam_role.operator)
  role       = aws_iam_role.operator[0].name
  policy_arn = aws_iam_policy.operator.arn
}
